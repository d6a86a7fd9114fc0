import { type Operand as NativeOperand, native, type TensorHandle } from '../native/index.js';
import { DTYPE_NAMES, DTYPES, type DType, numel, type RawTensor, type TensorData } from './dtypes.js';
import { register } from './scope.js';

/** A tensor or a number; a number promotes types as Python's numbers do. */
export type Operand = Tensor | number;
export type Device = 'cpu' | 'mps' | 'cuda' | `cuda:${number}`;

/** What a disposed tensor holds instead of its own handle, which the addon uses again. */
const DISPOSED = native.disposedHandle();

const raw = (operand: Operand): NativeOperand =>
  typeof operand === 'number' ? operand : Tensor.handle(operand);
const list = (dims: number | readonly number[] | undefined): readonly number[] | undefined =>
  typeof dims === 'number' ? [dims] : dims;

/** The row of a dtype; callers without TypeScript may name one that is not there. */
function dtypeRow(dtype: DType): (typeof DTYPES)[DType] {
  if (!Object.hasOwn(DTYPES, dtype))
    throw new TypeError(`Expected a dtype (${DTYPE_NAMES.join(', ')}) but received '${dtype}'`);
  return DTYPES[dtype];
}

const INFERRED: Record<string, DType> = {
  Float32Array: 'float32',
  Float64Array: 'float64',
  BigInt64Array: 'int64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  Uint8Array: 'uint8',
};

/**
 * One libtorch tensor. Freed by the scope() it was made in, by dispose() or `using`, or by the garbage
 * collector, whichever comes first. Shapes and broadcasting are PyTorch's.
 * @throws TorchError from any operation, naming the operation and what was wrong.
 */
export class Tensor {
  #handle: TensorHandle;
  #shape: readonly number[] | undefined;

  /** @internal Wraps a handle of the addon. */
  constructor(handle: TensorHandle) {
    this.#handle = handle;
    register(this);
  }

  /** @internal The handle of a tensor; refuses anything else by name. */
  static handle(value: Tensor): TensorHandle {
    if (!(value instanceof Tensor)) {
      const got = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
      throw new TypeError(`Expected a Tensor but received ${got}`);
    }
    return value.#handle;
  }

  /** Copies a typed array, to `device` without waiting for it. The dtype follows from the array; 16-bit floats (as Uint16Array bits) and bool name theirs. */
  static from(
    data: TensorData | readonly number[],
    shape?: readonly number[],
    dtype?: DType,
    device?: Device,
  ): Tensor {
    const array = ArrayBuffer.isView(data) ? (data as TensorData) : Float32Array.from(data as number[]);
    const type = dtype ?? INFERRED[array.constructor.name];
    if (!type)
      throw new TypeError(`Expected a dtype for data in a ${array.constructor.name} but received none`);
    const row = dtypeRow(type);
    if (!(array instanceof row.array))
      throw new TypeError(
        `Expected a ${row.array.name} for dtype ${type} but received a ${array.constructor.name}`,
      );
    return new Tensor(native.fromTypedArray(array, shape ?? [array.length], row.code, device));
  }

  /** Copies raw little-endian bytes, as file readers give them. */
  static fromRaw(source: RawTensor): Tensor {
    return new Tensor(native.fromTypedArray(source.data, source.shape, dtypeRow(source.dtype).code));
  }

  static full(
    shape: readonly number[],
    value: number,
    dtype: DType = 'float32',
    device: Device = 'cpu',
  ): Tensor {
    return new Tensor(native.full(shape, value, dtypeRow(dtype).code, device));
  }
  static zeros(shape: readonly number[], dtype: DType = 'float32', device: Device = 'cpu'): Tensor {
    return Tensor.full(shape, 0, dtype, device);
  }
  static ones(shape: readonly number[], dtype: DType = 'float32', device: Device = 'cpu'): Tensor {
    return Tensor.full(shape, 1, dtype, device);
  }
  static arange(start: number, end: number, step = 1, dtype: DType = 'float32'): Tensor {
    return new Tensor(native.arange(start, end, step, dtypeRow(dtype).code));
  }
  /** Uniform in [0, 1), from the process's seeded generator (setupSeed). */
  static rand(shape: readonly number[], dtype: DType = 'float32'): Tensor {
    return new Tensor(native.rand(shape, dtypeRow(dtype).code));
  }
  /** Standard normal, from the process's seeded generator (setupSeed). */
  static randn(shape: readonly number[], dtype: DType = 'float32'): Tensor {
    return new Tensor(native.randn(shape, dtypeRow(dtype).code));
  }
  static cat(tensors: readonly Tensor[], dim = 0): Tensor {
    return new Tensor(native.cat(tensors.map(Tensor.handle), dim));
  }
  static stack(tensors: readonly Tensor[], dim = 0): Tensor {
    return new Tensor(native.stack(tensors.map(Tensor.handle), dim));
  }
  static where(condition: Tensor, self: Operand, other: Operand): Tensor {
    return new Tensor(native.where(Tensor.handle(condition), raw(self), raw(other)));
  }

  get shape(): readonly number[] {
    this.#shape ??= native.shape(this.#handle);
    return this.#shape;
  }
  get dtype(): DType {
    return DTYPE_NAMES[native.dtype(this.#handle)]!;
  }
  get device(): Device {
    return native.device(this.#handle) as Device;
  }
  get numel(): number {
    return numel(this.shape);
  }
  get isDisposed(): boolean {
    return native.isDisposed(this.#handle);
  }
  get requiresGrad(): boolean {
    return native.requiresGrad(this.#handle);
  }
  set requiresGrad(value: boolean) {
    native.setRequiresGrad(this.#handle, value);
  }
  /** The gradient that backward() accumulated, or undefined. */
  get grad(): Tensor | undefined {
    const grad = native.grad(this.#handle);
    return grad ? new Tensor(grad) : undefined;
  }

  /** The elements, row-major, copied out of the tensor (and off its device). */
  data(): TensorData {
    return new DTYPES[this.dtype].array(native.toArrayBuffer(this.#handle));
  }
  /** The elements as numbers, whatever the dtype. */
  toFloat32(): Float32Array<ArrayBuffer> {
    const float = this.dtype === 'float32' ? this.#handle : native.to(this.#handle, 0, undefined);
    const data = new Float32Array(native.toArrayBuffer(float));
    if (float !== this.#handle) native.dispose(float);
    return data;
  }
  toRaw(): RawTensor {
    return {
      dtype: this.dtype,
      shape: [...this.shape],
      data: new Uint8Array(native.toArrayBuffer(this.#handle)),
    };
  }
  /** The single element of a one-element tensor. */
  item(): number {
    return native.item(this.#handle);
  }
  to(options: { dtype?: DType; device?: Device }): Tensor {
    return this.#wrap(native.to(this.#handle, options.dtype && dtypeRow(options.dtype).code, options.device));
  }

  /** @internal Called by scopes, of tensors that outlive them: the garbage collector then hears of their memory. */
  reportMemory(): void {
    native.reportMemory(this.#handle);
  }
  /** Frees the memory now; calling it again does nothing. */
  dispose(): void {
    native.dispose(this.#handle);
    this.#handle = DISPOSED;
  }
  [Symbol.dispose](): void {
    this.dispose();
  }

  add(other: Operand): Tensor {
    return this.#wrap(native.add(this.#handle, raw(other)));
  }
  sub(other: Operand): Tensor {
    return this.#wrap(native.sub(this.#handle, raw(other)));
  }
  mul(other: Operand): Tensor {
    return this.#wrap(native.mul(this.#handle, raw(other)));
  }
  div(other: Operand): Tensor {
    return this.#wrap(native.div(this.#handle, raw(other)));
  }
  pow(exponent: Operand): Tensor {
    return this.#wrap(native.pow(this.#handle, raw(exponent)));
  }
  maximum(other: Operand): Tensor {
    return this.#wrap(native.maximum(this.#handle, raw(other)));
  }
  minimum(other: Operand): Tensor {
    return this.#wrap(native.minimum(this.#handle, raw(other)));
  }
  neg(): Tensor {
    return this.#wrap(native.neg(this.#handle));
  }
  abs(): Tensor {
    return this.#wrap(native.abs(this.#handle));
  }
  exp(): Tensor {
    return this.#wrap(native.exp(this.#handle));
  }
  log(): Tensor {
    return this.#wrap(native.log(this.#handle));
  }
  sqrt(): Tensor {
    return this.#wrap(native.sqrt(this.#handle));
  }
  square(): Tensor {
    return this.#wrap(native.square(this.#handle));
  }
  tanh(): Tensor {
    return this.#wrap(native.tanh(this.#handle));
  }
  sigmoid(): Tensor {
    return this.#wrap(native.sigmoid(this.#handle));
  }
  relu(): Tensor {
    return this.#wrap(native.relu(this.#handle));
  }
  gelu(): Tensor {
    return this.#wrap(native.gelu(this.#handle));
  }
  floor(): Tensor {
    return this.#wrap(native.floor(this.#handle));
  }
  round(): Tensor {
    return this.#wrap(native.round(this.#handle));
  }
  clamp(min?: number, max?: number): Tensor {
    return this.#wrap(native.clamp(this.#handle, min, max));
  }

  eq(other: Operand): Tensor {
    return this.#wrap(native.eq(this.#handle, raw(other)));
  }
  ne(other: Operand): Tensor {
    return this.#wrap(native.ne(this.#handle, raw(other)));
  }
  lt(other: Operand): Tensor {
    return this.#wrap(native.lt(this.#handle, raw(other)));
  }
  le(other: Operand): Tensor {
    return this.#wrap(native.le(this.#handle, raw(other)));
  }
  gt(other: Operand): Tensor {
    return this.#wrap(native.gt(this.#handle, raw(other)));
  }
  ge(other: Operand): Tensor {
    return this.#wrap(native.ge(this.#handle, raw(other)));
  }
  logicalAnd(other: Tensor): Tensor {
    return this.#wrap(native.logicalAnd(this.#handle, Tensor.handle(other)));
  }
  logicalOr(other: Tensor): Tensor {
    return this.#wrap(native.logicalOr(this.#handle, Tensor.handle(other)));
  }
  logicalNot(): Tensor {
    return this.#wrap(native.logicalNot(this.#handle));
  }
  isfinite(): Tensor {
    return this.#wrap(native.isfinite(this.#handle));
  }
  maskedFill(mask: Tensor, value: number): Tensor {
    return this.#wrap(native.maskedFill(this.#handle, Tensor.handle(mask), value));
  }

  /** In place. A trailing underscore means so everywhere, as in PyTorch. */
  add_(other: Operand): this {
    native.add_(this.#handle, raw(other));
    return this;
  }
  mul_(other: Operand): this {
    native.mul_(this.#handle, raw(other));
    return this;
  }
  fill_(value: number): this {
    native.fill_(this.#handle, value);
    return this;
  }
  copy_(source: Tensor): this {
    native.copy_(this.#handle, Tensor.handle(source));
    return this;
  }

  /** Over `dims`, or over everything. */
  sum(dims?: number | readonly number[], keepdim = false): Tensor {
    return this.#wrap(native.sum(this.#handle, list(dims), keepdim));
  }
  mean(dims?: number | readonly number[], keepdim = false): Tensor {
    return this.#wrap(native.mean(this.#handle, list(dims), keepdim));
  }
  std(dims?: number | readonly number[], keepdim = false): Tensor {
    return this.#wrap(native.std(this.#handle, list(dims), keepdim));
  }
  amax(dims?: number | readonly number[], keepdim = false): Tensor {
    return this.#wrap(native.amax(this.#handle, list(dims), keepdim));
  }
  amin(dims?: number | readonly number[], keepdim = false): Tensor {
    return this.#wrap(native.amin(this.#handle, list(dims), keepdim));
  }
  max(dim: number, keepdim = false): { values: Tensor; indices: Tensor } {
    const [values, indices] = native.maxDim(this.#handle, dim, keepdim);
    return { values: new Tensor(values), indices: new Tensor(indices) };
  }
  argmax(dim?: number, keepdim = false): Tensor {
    return this.#wrap(native.argmax(this.#handle, dim, keepdim));
  }
  all(): boolean {
    return this.#flag(native.all(this.#handle));
  }
  any(): boolean {
    return this.#flag(native.any(this.#handle));
  }
  norm(): Tensor {
    return this.#wrap(native.norm(this.#handle));
  }
  softmax(dim: number): Tensor {
    return this.#wrap(native.softmax(this.#handle, dim));
  }
  logSoftmax(dim: number): Tensor {
    return this.#wrap(native.logSoftmax(this.#handle, dim));
  }
  cumsum(dim: number): Tensor {
    return this.#wrap(native.cumsum(this.#handle, dim));
  }
  allclose(other: Tensor, rtol = 1e-5, atol = 1e-8): boolean {
    return native.allclose(this.#handle, Tensor.handle(other), rtol, atol);
  }

  reshape(...shape: number[]): Tensor {
    return this.#wrap(native.reshape(this.#handle, shape));
  }
  view(...shape: number[]): Tensor {
    return this.#wrap(native.view(this.#handle, shape));
  }
  permute(...dims: number[]): Tensor {
    return this.#wrap(native.permute(this.#handle, dims));
  }
  transpose(dim0: number, dim1: number): Tensor {
    return this.#wrap(native.transpose(this.#handle, dim0, dim1));
  }
  squeeze(dim: number): Tensor {
    return this.#wrap(native.squeeze(this.#handle, dim));
  }
  unsqueeze(dim: number): Tensor {
    return this.#wrap(native.unsqueeze(this.#handle, dim));
  }
  expand(...shape: number[]): Tensor {
    return this.#wrap(native.expand(this.#handle, shape));
  }
  repeat(...repeats: number[]): Tensor {
    return this.#wrap(native.repeat(this.#handle, repeats));
  }
  flip(...dims: number[]): Tensor {
    return this.#wrap(native.flip(this.#handle, dims));
  }
  narrow(dim: number, start: number, length: number): Tensor {
    return this.#wrap(native.narrow(this.#handle, dim, start, length));
  }
  select(dim: number, index: number): Tensor {
    return this.#wrap(native.select(this.#handle, dim, index));
  }
  indexSelect(dim: number, index: Tensor): Tensor {
    return this.#wrap(native.indexSelect(this.#handle, dim, Tensor.handle(index)));
  }
  gather(dim: number, index: Tensor): Tensor {
    return this.#wrap(native.gather(this.#handle, dim, Tensor.handle(index)));
  }
  contiguous(): Tensor {
    return this.#wrap(native.contiguous(this.#handle));
  }
  clone(): Tensor {
    return this.#wrap(native.clone(this.#handle));
  }

  matmul(other: Tensor): Tensor {
    return this.#wrap(native.matmul(this.#handle, Tensor.handle(other)));
  }
  linear(weight: Tensor, bias?: Tensor): Tensor {
    return this.#wrap(native.linear(this.#handle, Tensor.handle(weight), bias && Tensor.handle(bias)));
  }
  conv2d(weight: Tensor, options: Conv2dOptions = {}): Tensor {
    const { bias, stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
    return this.#wrap(
      native.conv2d(
        this.#handle,
        Tensor.handle(weight),
        bias && Tensor.handle(bias),
        [stride, stride],
        [padding, padding],
        [dilation, dilation],
        groups,
      ),
    );
  }
  layerNorm(weight: Tensor, bias: Tensor, eps = 1e-5): Tensor {
    return this.#wrap(native.layerNorm(this.#handle, Tensor.handle(weight), Tensor.handle(bias), eps));
  }
  /** [B,C,...] logits against [B,...] int64 class indices. */
  crossEntropy(
    target: Tensor,
    options: { ignoreIndex?: number; reduction?: 'mean' | 'sum' | 'none' } = {},
  ): Tensor {
    const { ignoreIndex = -100, reduction = 'mean' } = options;
    return this.#wrap(native.crossEntropy(this.#handle, Tensor.handle(target), ignoreIndex, reduction));
  }
  binaryCrossEntropyWithLogits(target: Tensor, posWeight?: Tensor): Tensor {
    return this.#wrap(
      native.binaryCrossEntropyWithLogits(
        this.#handle,
        Tensor.handle(target),
        posWeight && Tensor.handle(posWeight),
      ),
    );
  }
  /** Resizes [B,C,H,W] to [B,C,...size]. */
  interpolate(
    size: readonly [number, number],
    mode: 'bilinear' | 'nearest' = 'bilinear',
    alignCorners = false,
  ): Tensor {
    return this.#wrap(native.interpolate(this.#handle, size, mode, alignCorners));
  }
  adaptiveMaxPool2d(size: readonly [number, number]): Tensor {
    return this.#wrap(native.adaptiveMaxPool2d(this.#handle, size));
  }
  adaptiveAvgPool2d(size: readonly [number, number]): Tensor {
    return this.#wrap(native.adaptiveAvgPool2d(this.#handle, size));
  }
  /** `padding` runs from the last dimension backwards: left, right, top, bottom. */
  pad(
    padding: readonly number[],
    mode: 'constant' | 'replicate' | 'reflect' = 'constant',
    value = 0,
  ): Tensor {
    return this.#wrap(native.pad(this.#handle, padding, mode, value));
  }

  /** Accumulates gradients into `.grad` of every tensor with requiresGrad that this one depends on. */
  backward(gradient?: Tensor): void {
    native.backward(this.#handle, gradient && Tensor.handle(gradient));
  }
  clearGrad(): void {
    native.clearGrad(this.#handle);
  }
  /** The same values, cut off from the gradient graph. Shares memory. */
  detach(): Tensor {
    return this.#wrap(native.detach(this.#handle));
  }

  toString(): string {
    if (this.isDisposed) return 'Tensor(disposed)';
    return `Tensor([${this.shape.join(', ')}], ${this.dtype}, ${this.device})`;
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  #wrap(handle: TensorHandle): Tensor {
    return new Tensor(handle);
  }
  #flag(handle: TensorHandle): boolean {
    const value = native.item(handle) !== 0;
    native.dispose(handle);
    return value;
  }
}

export interface Conv2dOptions {
  bias?: Tensor;
  stride?: number;
  padding?: number;
  dilation?: number;
  groups?: number;
}

/**
 * Checks a tensor's shape; -1 stands for any size.
 * @throws TypeError "Expected shape [B, 3, -1, -1] for images but received [2, 1, 64, 64]".
 */
export function expectShape(tensor: Tensor, shape: readonly number[], what: string): void {
  const actual = tensor.shape;
  if (actual.length === shape.length && shape.every((d, i) => d === -1 || d === actual[i])) return;
  throw new TypeError(
    `Expected shape [${shape.map((d) => (d === -1 ? 'any' : d)).join(', ')}] for ${what} but received [${actual.join(', ')}]`,
  );
}
