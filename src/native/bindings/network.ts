/** native/nn, native/cam: the network, and what is made of its maps. */
import type { Ints, TensorHandle, WeTrHandle } from './handles.js';
import { takes } from './signature.js';

/** rgb uint8 [H, W, 3] and probabilities [C, H, W] to marginals [C, H, W]. */
export type DenseCrf<R> = (
  rgb: TensorHandle,
  probabilities: TensorHandle,
  iterations: number,
  posW: number,
  posXyStd: number,
  biW: number,
  biXyStd: number,
  biRgbStd: number,
) => R;

export const NETWORK = {
  wetrCreate:
    takes<
      (
        embedDims: Ints,
        depths: Ints,
        stride: Ints,
        dropPath: number,
        numClasses: number,
        embeddingDim: number,
        maxPooling: boolean,
        headDropout: number,
        bfloat16: boolean,
        cudaGraphs: boolean,
      ) => WeTrHandle
    >(10),
  wetrParameterNames: takes<(model: WeTrHandle) => string[]>(1),
  wetrParameters: takes<(model: WeTrHandle) => TensorHandle[]>(1),
  wetrStateNames: takes<(model: WeTrHandle) => string[]>(1),
  wetrState: takes<(model: WeTrHandle) => TensorHandle[]>(1),
  wetrTo: takes<(model: WeTrHandle, device: string) => void>(2),
  wetrTrain: takes<(model: WeTrHandle, training: boolean) => void>(2),
  wetrFeatures: takes<(model: WeTrHandle, image: TensorHandle) => TensorHandle[]>(2),
  wetrForward:
    takes<
      (
        model: WeTrHandle,
        image: TensorHandle,
        cls: boolean,
        seg: boolean,
        cam: boolean,
        affinity: boolean,
        attention: boolean,
        segDetach: boolean,
      ) => [
        cls: TensorHandle | null,
        seg: TensorHandle | null,
        cam: TensorHandle | null,
        affinity: TensorHandle | null,
        attention: TensorHandle[],
      ]
    >(8),
  wetrDispose: takes<(model: WeTrHandle) => void>(1),
  /** graphFault: why passes run without CUDA graphs from now on, said once; else empty. */
  multiScaleCam:
    takes<
      (
        model: WeTrHandle,
        images: TensorHandle,
        scales: readonly number[],
        affinity: boolean,
        flippedAffinity: boolean,
        chunk: number,
        scaleOne?: TensorHandle,
      ) => [
        cam: TensorHandle,
        affinity: TensorHandle | null,
        gridHeight: number,
        gridWidth: number,
        graphFault: string,
      ]
    >(7),
  predictAsync:
    takes<
      (
        model: WeTrHandle,
        images: TensorHandle,
        scales: readonly number[],
        chunk: number,
      ) => Promise<[cls: TensorHandle, seg: TensorHandle, cam: TensorHandle, graphFault: string]>
    >(4),

  pixelAdaptiveRefine:
    takes<(images: TensorHandle, masks: TensorHandle, dilations: Ints, iterations: number) => TensorHandle>(
      4,
    ),
  refineInBoxes:
    takes<
      (
        images: TensorHandle,
        masks: TensorHandle,
        boxes: TensorHandle,
        dilations: Ints,
        iterations: number,
      ) => TensorHandle
    >(5),
  boxMask: takes<(boxes: TensorHandle, height: number, width: number, device: string) => TensorHandle>(4),
  affinityLabel:
    takes<
      (
        label: TensorHandle,
        height: number,
        width: number,
        near: TensorHandle,
        ignoreIndex: number,
      ) => TensorHandle
    >(5),
  affinitySums:
    takes<
      (
        affinity: TensorHandle,
        label: TensorHandle,
      ) => [same: TensorHandle, different: TensorHandle, counts: TensorHandle]
    >(2),
  randomWalk:
    takes<
      (
        affinity: TensorHandle,
        scores: TensorHandle,
        near: TensorHandle,
        width: number,
        radius: number,
      ) => TensorHandle
    >(5),
  denseCrf: takes<DenseCrf<TensorHandle>>(8),
  denseCrfAsync: takes<DenseCrf<Promise<TensorHandle>>>(8),
};
