/** .npy arrays: numeric data of any dtype, byte order and memory order in, C order in native bytes out. */
import { endianness } from 'node:os';
import { numel } from '../tensor/dtypes.js';
import { writeFileAtomic } from './atomic.js';
import { withFileBytes } from './file-bytes.js';
import { FileFormatError } from './file-error.js';
import { halfToFloat } from './half.js';
import {
  type ElementType,
  formatNpyHeader,
  NPY_DTYPES,
  NPY_PREAMBLE_BYTES,
  type NpyDType,
  type NpyHeader,
  npyDataOffset,
  numericElementType,
  parseNpyHeader,
} from './npy-header.js';
import { withFile } from './random-access.js';
import { gather } from './strided.js';

export type { NpyDType, NpyHeader } from './npy-header.js';

/** Every typed array that an element type decodes to; booleans are a Uint8Array of 0 and 1. */
export type NpyData = InstanceType<(typeof NPY_DTYPES)[NpyDType]['array']>;

/** A numeric array: native byte order, C (row-major) order, `data.length` = product of `shape`. */
export interface NpyArray {
  dtype: NpyDType;
  shape: number[];
  data: NpyData;
}

const IS_BIG_ENDIAN_HOST = endianness() === 'BE';

/**
 * Decodes the bytes of a .npy file; bytes after the array are ignored, as numpy does.
 * @param source the file's name, for messages
 * @throws FileFormatError for an empty, truncated, damaged or non-numeric (object) file
 */
export function parseNpy(bytes: Uint8Array, source: string): NpyArray {
  const header = parseNpyHeader(bytes, source);
  const type = numericElementType(header.descr, source);
  const expected = numel(header.shape) * type.bytes;
  const received = bytes.length - header.dataOffset;
  if (!(expected <= received)) {
    throw new FileFormatError({
      path: source,
      expected: `${expected} bytes of array data (shape [${header.shape}], ${header.descr})`,
      received: `only ${received} bytes`,
      remedy: 'The file is truncated: copy or create it again.',
    });
  }
  const body = bytes.subarray(header.dataOffset, header.dataOffset + expected);
  return decodeArray(body, type, header.shape, header.fortranOrder);
}

/** Array of `shape` from the bytes of its elements; always a copy, so the file's buffer can go. */
export function decodeArray(
  body: Uint8Array,
  type: ElementType,
  shape: number[],
  fortranOrder: boolean,
): NpyArray {
  const owned = new Uint8Array(body);
  if (type.isBigEndian !== IS_BIG_ENDIAN_HOST) swapBytes(owned, type.bytes);
  const data = type.isHalf
    ? Float32Array.from(new Uint16Array(owned.buffer), halfToFloat)
    : new NPY_DTYPES[type.dtype].array(owned.buffer);
  return { dtype: type.dtype, shape, data: fortranOrder ? toRowMajor(data, shape) : data };
}

function swapBytes(bytes: Uint8Array, size: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else if (size === 8) buffer.swap64();
}

/** Fortran order varies the first index fastest. */
function toRowMajor(source: NpyData, shape: readonly number[]): NpyData {
  if (shape.length < 2) return source;
  const strides = shape.map((_, axis) => numel(shape.slice(0, axis)));
  const result = source.slice();
  gather<number | bigint>(source, result, shape, strides);
  return result;
}

/** Reads a .npy file; faults as `parseNpy`, and FileAccessError when it cannot be opened. */
export function readNpy(path: string): NpyArray {
  return withFileBytes(path, (bytes) => parseNpy(bytes, path));
}

/** Reads only the header (and the file's size): enough to know dtype and shape, and that all data are there. */
export function readNpyHeader(path: string): NpyHeader {
  return withFile(path, (file) => {
    const start = file.read(0, Math.min(NPY_PREAMBLE_BYTES, file.size), 'a .npy header');
    const header = parseNpyHeader(file.read(0, npyDataOffset(start, path), 'a .npy header'), path);
    const type = numericElementType(header.descr, path);
    const end = header.dataOffset + numel(header.shape) * type.bytes;
    if (!(end <= file.size)) {
      throw new FileFormatError({
        path,
        expected: `${end} bytes (shape [${header.shape}], ${header.descr})`,
        received: `only ${file.size} bytes`,
        remedy: 'The file is truncated: copy or create it again.',
      });
    }
    return { dtype: type.dtype, ...header };
  });
}

/** The parts of a .npy file, little-endian, for `writeFileAtomic` or `writeFileAtomicAsync`. */
export function encodeNpy(array: NpyArray): Uint8Array[] {
  return [formatNpyHeader(descrOf(array.dtype), array.shape), elementBytes(array)];
}

/** `descr` of little-endian elements; numpy writes `|` where there is only one byte. */
export function descrOf(dtype: NpyDType): string {
  const { descr } = NPY_DTYPES[dtype];
  return (descr.endsWith('1') ? '|' : '<') + descr;
}

/**
 * Little-endian bytes of an array's elements, without a copy where the host has that order.
 * @throws TypeError or RangeError when `data` does not fit dtype or shape
 */
export function elementBytes({ dtype, shape, data }: NpyArray): Uint8Array {
  const { array } = NPY_DTYPES[dtype];
  if (!(data instanceof array)) {
    throw new TypeError(`Expected ${array.name} for ${dtype} data but received ${data.constructor.name}.`);
  }
  if (data.length !== numel(shape)) {
    throw new RangeError(
      `Expected ${numel(shape)} elements for shape [${shape}] but received ${data.length}.`,
    );
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (!IS_BIG_ENDIAN_HOST) return bytes;
  const swapped = bytes.slice();
  swapBytes(swapped, data.BYTES_PER_ELEMENT);
  return swapped;
}

/** Writes a numeric array as `numpy.save` does; the file is whole or not there. */
export function writeNpy(path: string, array: NpyArray): void {
  writeFileAtomic(path, encodeNpy(array));
}
