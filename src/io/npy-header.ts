/**
 * The header of .npy files (numpy.lib.format, versions 1 to 3): magic, version, length, and a Python
 * dict literal of `descr` (byte order, kind and size), `fortran_order` and `shape`.
 */
import { FileFormatError } from './file-error.js';

/** Element types of a decoded array; half-precision files (`f2`) are decoded to float32. */
export const NPY_DTYPES = {
  bool: { descr: 'b1', array: Uint8Array },
  int8: { descr: 'i1', array: Int8Array },
  int16: { descr: 'i2', array: Int16Array },
  int32: { descr: 'i4', array: Int32Array },
  int64: { descr: 'i8', array: BigInt64Array },
  uint8: { descr: 'u1', array: Uint8Array },
  uint16: { descr: 'u2', array: Uint16Array },
  uint32: { descr: 'u4', array: Uint32Array },
  uint64: { descr: 'u8', array: BigUint64Array },
  float32: { descr: 'f4', array: Float32Array },
  float64: { descr: 'f8', array: Float64Array },
} as const;

export type NpyDType = keyof typeof NPY_DTYPES;

export interface NpyHeader {
  /** dtype of the array that `parseNpy` gives: float32 for a half-precision file. */
  dtype: NpyDType;
  shape: number[];
  /** As in the file, e.g. `<f4` or `>i2`. */
  descr: string;
  fortranOrder: boolean;
  /** Byte at which the elements begin. */
  dataOffset: number;
}

/** What a `descr` says of one element: how it lies in the file, and what it becomes. */
export interface ElementType {
  dtype: NpyDType;
  isHalf: boolean;
  isBigEndian: boolean;
  bytes: number;
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const DTYPE_OF_DESCR = new Map(
  Object.entries(NPY_DTYPES).map(([dtype, { descr }]) => [descr as string, dtype as NpyDType]),
);

/** Bytes that tell how long the header is: magic, version, and a length of 2 or 4 bytes. */
export const NPY_PREAMBLE_BYTES = 12;

/**
 * Byte at which the array's elements begin, from the file's first bytes.
 * @throws FileFormatError when the file is empty, too short, or no .npy file
 */
export function npyDataOffset(start: Uint8Array, path: string): number {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  const fail = (received: string) =>
    new FileFormatError({
      path,
      expected: 'a .npy file',
      received,
      remedy: 'Save it again with numpy.save.',
    });
  if (bytes.length === 0) throw fail('an empty file');
  if (bytes.length < NPY_PREAMBLE_BYTES) throw fail(`a file of ${bytes.length} bytes`);
  if (!bytes.subarray(0, 6).equals(MAGIC)) {
    throw fail(`a file that begins with ${JSON.stringify(bytes.toString('latin1', 0, 6))}`);
  }
  const version = bytes[6]!;
  if (version < 1 || version > 3) throw fail(`.npy version ${version}.${bytes[7]} (1 to 3 are known)`);
  return version === 1 ? 10 + bytes.readUInt16LE(8) : 12 + bytes.readUInt32LE(8);
}

/** Reads the header from a file's beginning, of any dtype: `descr` is not looked at yet. */
export function parseNpyHeader(bytes: Uint8Array, path: string): Omit<NpyHeader, 'dtype'> {
  const dataOffset = npyDataOffset(bytes.subarray(0, NPY_PREAMBLE_BYTES), path);
  const fail = (received: string) =>
    new FileFormatError({
      path,
      expected: 'a .npy header with descr, fortran_order and shape',
      received,
      remedy: 'The file is truncated or damaged: copy or create it again.',
    });
  if (dataOffset > bytes.length) throw fail(`only ${bytes.length} of ${dataOffset} header bytes`);
  const textStart = bytes[6] === 1 ? 10 : 12;
  const text = Buffer.from(bytes.subarray(textStart, dataOffset)).toString('utf8');
  const descr = /['"]descr['"]\s*:\s*(?:(['"])(.*?)\1|(\[.*\]|\(.*\)))\s*,/s.exec(text);
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text);
  // Python 2 wrote its long integers with an L.
  const shape = /['"]shape['"]\s*:\s*\(((?:\s*\d+L?\s*,?)*)\s*\)/.exec(text);
  if (!descr || !order || !shape) throw fail(JSON.stringify(text.trim().slice(0, 200)));
  const dimensions = shape[1]!.split(',').filter((part) => part.trim() !== '');
  return {
    descr: descr[2] ?? descr[3]!,
    fortranOrder: order[1] === 'True',
    shape: dimensions.map((part) => Number.parseInt(part, 10)),
    dataOffset,
  };
}

/** How elements of a `descr` are stored, or undefined when it is no numeric type that we read. */
export function elementType(descr: string): ElementType | undefined {
  const match = /^([<>|=]?)([biuf]\d+)$/.exec(descr);
  if (!match) return undefined;
  const [, order, kind] = match;
  const isHalf = kind === 'f2';
  const dtype = isHalf ? 'float32' : DTYPE_OF_DESCR.get(kind!);
  if (!dtype) return undefined;
  return { dtype, isHalf, isBigEndian: order === '>', bytes: Number(kind!.slice(1)) };
}

/** As `elementType`, with the reason and the remedy when the type is not numeric. */
export function numericElementType(descr: string, path: string): ElementType {
  const type = elementType(descr);
  if (type) return type;
  const isObject = /O/.test(descr);
  throw new FileFormatError({
    path,
    expected: 'a numeric array (bool, integers of 8 to 64 bits, floats of 16 to 64 bits)',
    received: isObject
      ? `an object array (dtype ${descr}: pickled Python objects, which could run code when loaded)`
      : `dtype ${descr.slice(0, 80)}`,
    remedy: isObject
      ? "In Python, save the plain array inside it: numpy.save(path, numpy.asarray(value, dtype='float32'))."
      : "Convert it in Python: numpy.save(path, numpy.load(path).astype('float32')).",
  });
}

/** The bytes before an array's elements: version 1, or 2 for a header of 64 KiB and more. */
export function formatNpyHeader(descr: string, shape: readonly number[]): Buffer {
  const dimensions = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dimensions}), }`;
  const version = text.length + 64 < 0x10000 ? 1 : 2;
  const start = version === 1 ? 10 : 12;
  // numpy aligns the elements to 64 bytes, with spaces before a final newline.
  const total = Math.ceil((start + text.length + 1) / 64) * 64;
  const header = Buffer.alloc(total, ' ');
  MAGIC.copy(header);
  header.set([version, 0], 6);
  if (version === 1) header.writeUInt16LE(total - start, 8);
  else header.writeUInt32LE(total - start, 8);
  header.write(text, start, 'latin1');
  header[total - 1] = 0x0a;
  return header;
}
