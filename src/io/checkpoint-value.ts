import type { RawTensor } from '../tensor/dtypes.js';
import type { PyFloat } from './python-values.js';

/**
 * What a checkpoint holds. Python's dict is a Map (keys mostly strings, in optimizer states also numbers),
 * list, tuple and set are arrays, None is null, an integer beyond 2^53 a bigint, bytes a Uint8Array.
 * Writing takes them back but for Uint8Array: give a uint8 tensor. Whole numbers are written as int; a
 * PyFloat is written as float and read back as a number.
 */
export type CheckpointValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PyFloat
  | RawTensor
  | CheckpointValue[]
  | CheckpointMap;

// An interface: a type alias may not refer to itself through Map.
export interface CheckpointMap extends Map<string | number, CheckpointValue> {}

/** Whether a value of a checkpoint is a tensor. */
export function isRawTensor(value: unknown): value is RawTensor {
  if (typeof value !== 'object' || value === null) return false;
  const { dtype, shape, data } = value as Partial<RawTensor>;
  return typeof dtype === 'string' && Array.isArray(shape) && data instanceof Uint8Array;
}
