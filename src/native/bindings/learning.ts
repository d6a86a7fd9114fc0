/** native/autograd, native/optim, native/cuda_graph.cc: gradients, updates, and recordings of both. */
import type { CudaGraphHandle, TensorHandle, WeTrHandle } from './handles.js';
import { takes } from './signature.js';

type Unary = (self: TensorHandle) => TensorHandle;

export const LEARNING = {
  backward: takes<(self: TensorHandle, gradient?: TensorHandle) => void>(2),
  grad: takes<(self: TensorHandle) => TensorHandle | null>(1),
  clearGrad: takes<(self: TensorHandle) => void>(1),
  clearGrads: takes<(parameters: readonly TensorHandle[]) => void>(1),
  requiresGrad: takes<(self: TensorHandle) => boolean>(1),
  setRequiresGrad: takes<(self: TensorHandle, value: boolean) => void>(2),
  detach: takes<Unary>(1),
  isGradEnabled: takes<() => boolean>(0),
  setGradEnabled: takes<(value: boolean) => void>(1),

  adamwStep:
    takes<
      (
        parameters: readonly TensorHandle[],
        firstMoments: readonly TensorHandle[],
        secondMoments: readonly TensorHandle[],
        steps: readonly TensorHandle[],
        learningRate: number,
        /** float32 []: read on the device in place of learningRate. */
        rate: TensorHandle | undefined,
        beta1: number,
        beta2: number,
        weightDecay: number,
        eps: number,
        foundInf: TensorHandle | undefined,
      ) => void
    >(11),
  /** float32 [1]: 1 where the loss or a gradient holds a NaN or an infinity, else 0; nothing is read back. */
  findNonFinite: takes<(parameters: readonly TensorHandle[], loss: TensorHandle) => TensorHandle>(2),

  /** Whether work on images [B, 3, H, W] is worth a CUDA graph. */
  graphsPay: takes<(images: TensorHandle) => boolean>(1),
  /** Whether the GPU has room for one more. */
  graphFits: takes<(device: string) => boolean>(1),
  /** @param model whose graphs share their memory */
  cudaGraphCreate: takes<(device: string, model: WeTrHandle) => CudaGraphHandle>(2),
  /** Between enter and leave this thread computes on the stream for graphs; between begin and end into the graph. */
  cudaGraphEnter: takes<(graph: CudaGraphHandle) => void>(1),
  cudaGraphLeave: takes<(graph: CudaGraphHandle) => void>(1),
  cudaGraphBegin: takes<(graph: CudaGraphHandle) => void>(1),
  cudaGraphEnd: takes<(graph: CudaGraphHandle) => void>(1),
  /** In place of end, when what was to be recorded has thrown. */
  cudaGraphAbandon: takes<(graph: CudaGraphHandle) => void>(1),
  cudaGraphReplay: takes<(graph: CudaGraphHandle) => void>(1),
  cudaGraphDispose: takes<(graph: CudaGraphHandle) => void>(1),
};
