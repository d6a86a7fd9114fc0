/** PyTorch's storages: the flat byte ranges of a checkpoint that its tensors are views of. */
import { DTYPE_NAMES, DTYPES, type DType, numel, type RawTensor } from '../tensor/dtypes.js';
import { FileFormatError } from './file-error.js';
import type { RandomAccessFile } from './random-access.js';
import { gather } from './strided.js';
import type { ZipEntry } from './zip-reader.js';

/** Classes of typed storages in module `torch`; the class alone tells the element type. */
export const STORAGE_CLASSES: Record<DType, string> = {
  float32: 'FloatStorage',
  float64: 'DoubleStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  int64: 'LongStorage',
  int32: 'IntStorage',
  int16: 'ShortStorage',
  int8: 'CharStorage',
  uint8: 'ByteStorage',
  bool: 'BoolStorage',
};

/** A storage class named in a pickle; `dtype` is undefined for untyped storages, whose tensors bring their own. */
export class StorageClass {
  constructor(readonly dtype: DType | undefined) {}
}

/** A storage that a pickle refers to, not read yet. */
export class StoredBytes {
  constructor(
    readonly entry: ZipEntry,
    readonly dtype: DType | undefined,
  ) {}
}

export const isDType = (name: string): name is DType => (DTYPE_NAMES as string[]).includes(name);

/** How a tensor lies in its storage; offset and strides count elements. */
export interface View {
  offset: number;
  shape: readonly number[];
  strides: readonly number[];
}

/** Strides of a row-major tensor; PyTorch takes empty dimensions as 1 here. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, stride = 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= Math.max(shape[axis]!, 1);
  }
  return strides;
}

/**
 * Reads a view as a contiguous tensor with bytes of its own; of the storage only the part that it spans.
 * @throws FileFormatError when the view reaches beyond its storage
 */
export function readView(
  file: RandomAccessFile,
  { entry }: StoredBytes,
  dtype: DType,
  view: View,
): RawTensor {
  const { offset, shape, strides } = view;
  const { bytes } = DTYPES[dtype];
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const isView = [offset, ...shape, ...strides].every(isCount) && shape.length === strides.length;
  const count = numel(shape);
  const span = count === 0 ? 0 : shape.reduce((end, size, axis) => end + (size - 1) * strides[axis]!, 1);
  if (!isView || !((offset + span) * bytes <= entry.size)) {
    throw new FileFormatError({
      path: file.path,
      expected: `a ${dtype} tensor within the ${entry.size} bytes of its storage ${entry.name}`,
      received: `shape [${shape}], strides [${strides}] at offset ${offset}`,
      remedy: 'The file is damaged: copy or create it again.',
    });
  }
  const source = file.read(entry.offset + offset * bytes, span * bytes, `tensor data of ${entry.name}`);
  const dense = contiguousStrides(shape);
  const isContiguous =
    count === 0 || shape.every((size, axis) => size === 1 || strides[axis] === dense[axis]);
  return { dtype, shape: [...shape], data: isContiguous ? source : densely(source, bytes, shape, strides) };
}

/** The view's elements alone, one behind the other. */
function densely(
  source: Uint8Array,
  elementBytes: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array {
  const Words = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[elementBytes]!;
  const from = new Words(source.buffer as ArrayBuffer);
  const to = new Words(numel(shape));
  gather<number | bigint>(from, to, shape, strides);
  return new Uint8Array(to.buffer);
}
