/**
 * The one table of element types. `code` is what crosses into the addon; native/convert.cc holds
 * the same order and a static_assert counts the rows.
 */
export const DTYPES = {
  float32: { code: 0, bytes: 4, isFloat: true, array: Float32Array },
  float64: { code: 1, bytes: 8, isFloat: true, array: Float64Array },
  // JavaScript has no 16-bit floats on Node 20: their bits travel as Uint16Array.
  float16: { code: 2, bytes: 2, isFloat: true, array: Uint16Array },
  bfloat16: { code: 3, bytes: 2, isFloat: true, array: Uint16Array },
  int64: { code: 4, bytes: 8, isFloat: false, array: BigInt64Array },
  int32: { code: 5, bytes: 4, isFloat: false, array: Int32Array },
  int16: { code: 6, bytes: 2, isFloat: false, array: Int16Array },
  int8: { code: 7, bytes: 1, isFloat: false, array: Int8Array },
  uint8: { code: 8, bytes: 1, isFloat: false, array: Uint8Array },
  bool: { code: 9, bytes: 1, isFloat: false, array: Uint8Array },
} as const;

export type DType = keyof typeof DTYPES;

export const DTYPE_NAMES = Object.keys(DTYPES) as DType[];

export type TensorData =
  | Float32Array
  | Float64Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

/** A tensor as bytes: what file readers give and writers take. Little-endian, row-major, contiguous. */
export interface RawTensor {
  dtype: DType;
  shape: number[];
  data: Uint8Array;
}

export const numel = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Views raw bytes as the typed array of their dtype, copying only when the bytes are misaligned. */
export function typedView(raw: RawTensor): TensorData {
  const { array, bytes } = DTYPES[raw.dtype];
  const aligned = raw.data.byteOffset % bytes === 0 ? raw.data : raw.data.slice();
  return new array(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / bytes);
}
