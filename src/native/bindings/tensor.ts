/** native/tensor, native/images: tensors and the operations on them. */
import type { DownloadHandle, Ints, Operand, TensorHandle } from './handles.js';
import { takes } from './signature.js';

type Unary = (self: TensorHandle) => TensorHandle;
type Binary = (self: TensorHandle, other: Operand) => TensorHandle;
type Reduce = (self: TensorHandle, dims: Ints | undefined, keepdim: boolean) => TensorHandle;

export const TENSOR = {
  /** To a GPU through pinned memory, on a stream of its own. */
  fromTypedArray:
    takes<(data: ArrayBufferView, shape: Ints, dtype: number, device?: string) => TensorHandle>(4),
  /** Bytes [B, H, W, 1 or 3], mirrored where [B] says so, through a table [3, 256] to float32 [B, 3, H, W] on `device`. */
  normalizeBytes:
    takes<
      (
        data: Uint8Array,
        shape: Ints,
        mirrored: Uint8Array,
        table: Float32Array,
        device: string,
      ) => TensorHandle
    >(5),
  /** Begins to copy a tensor's values, as they will be once all queued work is done, to the host. */
  download: takes<(self: TensorHandle) => DownloadHandle>(1),
  /** Waits for that copy, but not for work queued after it. */
  downloadTake: takes<(download: DownloadHandle) => TensorHandle>(1),
  toArrayBuffer: takes<(self: TensorHandle) => ArrayBuffer>(1),
  item: takes<(self: TensorHandle) => number>(1),
  full: takes<(shape: Ints, value: number, dtype: number, device: string) => TensorHandle>(4),
  arange: takes<(start: number, end: number, step: number, dtype: number) => TensorHandle>(4),
  rand: takes<(shape: Ints, dtype: number) => TensorHandle>(2),
  randn: takes<(shape: Ints, dtype: number) => TensorHandle>(2),
  to: takes<(self: TensorHandle, dtype: number | undefined, device: string | undefined) => TensorHandle>(3),
  shape: takes<(self: TensorHandle) => number[]>(1),
  dtype: takes<(self: TensorHandle) => number>(1),
  device: takes<(self: TensorHandle) => string>(1),
  isDisposed: takes<(self: TensorHandle) => boolean>(1),
  /** A handle that is disposed of for ever. */
  disposedHandle: takes<() => TensorHandle>(0),
  /** Tells V8 of a tensor that was made while setScoped(true), since now the garbage collector may have to free it. */
  reportMemory: takes<(self: TensorHandle) => void>(1),
  /** Frees the tensor. The handle may come back as that of another one: forget it. */
  dispose: takes<(self: TensorHandle) => void>(1),

  add: takes<Binary>(2),
  sub: takes<Binary>(2),
  mul: takes<Binary>(2),
  div: takes<Binary>(2),
  pow: takes<Binary>(2),
  maximum: takes<Binary>(2),
  minimum: takes<Binary>(2),
  neg: takes<Unary>(1),
  abs: takes<Unary>(1),
  exp: takes<Unary>(1),
  log: takes<Unary>(1),
  sqrt: takes<Unary>(1),
  square: takes<Unary>(1),
  tanh: takes<Unary>(1),
  sigmoid: takes<Unary>(1),
  relu: takes<Unary>(1),
  gelu: takes<Unary>(1),
  floor: takes<Unary>(1),
  round: takes<Unary>(1),
  clamp: takes<(self: TensorHandle, min: number | undefined, max: number | undefined) => TensorHandle>(3),
  eq: takes<Binary>(2),
  ne: takes<Binary>(2),
  lt: takes<Binary>(2),
  le: takes<Binary>(2),
  gt: takes<Binary>(2),
  ge: takes<Binary>(2),
  logicalAnd: takes<(self: TensorHandle, other: TensorHandle) => TensorHandle>(2),
  logicalOr: takes<(self: TensorHandle, other: TensorHandle) => TensorHandle>(2),
  logicalNot: takes<Unary>(1),
  isfinite: takes<Unary>(1),
  where: takes<(condition: TensorHandle, self: Operand, other: Operand) => TensorHandle>(3),
  maskedFill: takes<(self: TensorHandle, mask: TensorHandle, value: number) => TensorHandle>(3),
  add_: takes<(self: TensorHandle, other: Operand) => void>(2),
  mul_: takes<(self: TensorHandle, other: Operand) => void>(2),
  fill_: takes<(self: TensorHandle, value: number) => void>(2),
  copy_: takes<(self: TensorHandle, source: TensorHandle) => void>(2),

  sum: takes<Reduce>(3),
  mean: takes<Reduce>(3),
  std: takes<Reduce>(3),
  amax: takes<Reduce>(3),
  amin: takes<Reduce>(3),
  maxDim: takes<(self: TensorHandle, dim: number, keepdim: boolean) => [TensorHandle, TensorHandle]>(3),
  argmax: takes<(self: TensorHandle, dim: number | undefined, keepdim: boolean) => TensorHandle>(3),
  all: takes<Unary>(1),
  any: takes<Unary>(1),
  norm: takes<Unary>(1),
  softmax: takes<(self: TensorHandle, dim: number) => TensorHandle>(2),
  logSoftmax: takes<(self: TensorHandle, dim: number) => TensorHandle>(2),
  cumsum: takes<(self: TensorHandle, dim: number) => TensorHandle>(2),
  allclose: takes<(self: TensorHandle, other: TensorHandle, rtol: number, atol: number) => boolean>(4),

  reshape: takes<(self: TensorHandle, shape: Ints) => TensorHandle>(2),
  view: takes<(self: TensorHandle, shape: Ints) => TensorHandle>(2),
  permute: takes<(self: TensorHandle, dims: Ints) => TensorHandle>(2),
  transpose: takes<(self: TensorHandle, dim0: number, dim1: number) => TensorHandle>(3),
  squeeze: takes<(self: TensorHandle, dim: number) => TensorHandle>(2),
  unsqueeze: takes<(self: TensorHandle, dim: number) => TensorHandle>(2),
  expand: takes<(self: TensorHandle, shape: Ints) => TensorHandle>(2),
  repeat: takes<(self: TensorHandle, repeats: Ints) => TensorHandle>(2),
  flip: takes<(self: TensorHandle, dims: Ints) => TensorHandle>(2),
  cat: takes<(tensors: readonly TensorHandle[], dim: number) => TensorHandle>(2),
  stack: takes<(tensors: readonly TensorHandle[], dim: number) => TensorHandle>(2),
  narrow: takes<(self: TensorHandle, dim: number, start: number, length: number) => TensorHandle>(4),
  select: takes<(self: TensorHandle, dim: number, index: number) => TensorHandle>(3),
  indexSelect: takes<(self: TensorHandle, dim: number, index: TensorHandle) => TensorHandle>(3),
  gather: takes<(self: TensorHandle, dim: number, index: TensorHandle) => TensorHandle>(3),
  contiguous: takes<Unary>(1),
  clone: takes<Unary>(1),

  matmul: takes<(self: TensorHandle, other: TensorHandle) => TensorHandle>(2),
  linear: takes<(input: TensorHandle, weight: TensorHandle, bias?: TensorHandle) => TensorHandle>(3),
  conv2d:
    takes<
      (
        input: TensorHandle,
        weight: TensorHandle,
        bias: TensorHandle | undefined,
        stride: Ints,
        padding: Ints,
        dilation: Ints,
        groups: number,
      ) => TensorHandle
    >(7),
  layerNorm:
    takes<(input: TensorHandle, weight: TensorHandle, bias: TensorHandle, eps: number) => TensorHandle>(4),
  crossEntropy:
    takes<
      (
        input: TensorHandle,
        target: TensorHandle,
        ignoreIndex: number,
        reduction: 'mean' | 'sum' | 'none',
      ) => TensorHandle
    >(4),
  binaryCrossEntropyWithLogits:
    takes<(input: TensorHandle, target: TensorHandle, posWeight?: TensorHandle) => TensorHandle>(3),
  interpolate:
    takes<
      (self: TensorHandle, size: Ints, mode: 'bilinear' | 'nearest', alignCorners: boolean) => TensorHandle
    >(4),
  adaptiveMaxPool2d: takes<(self: TensorHandle, size: Ints) => TensorHandle>(2),
  adaptiveAvgPool2d: takes<(self: TensorHandle, size: Ints) => TensorHandle>(2),
  pad: takes<
    (
      self: TensorHandle,
      padding: Ints,
      mode: 'constant' | 'replicate' | 'reflect',
      value: number,
    ) => TensorHandle
  >(4),
};
