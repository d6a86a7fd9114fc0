/** Voxel types by their NIfTI code (nifti1.h, DT_*). */

type Stored = ArrayLike<number> | ArrayLike<bigint>;

export interface VoxelType {
  name: string;
  bytes: 1 | 2 | 4 | 8;
  /** Native-endian view of a whole buffer. */
  view(buffer: ArrayBuffer): Stored;
}

export const VOXEL_TYPES: ReadonlyMap<number, VoxelType> = new Map<number, VoxelType>([
  [2, { name: 'uint8', bytes: 1, view: (buffer) => new Uint8Array(buffer) }],
  [256, { name: 'int8', bytes: 1, view: (buffer) => new Int8Array(buffer) }],
  [4, { name: 'int16', bytes: 2, view: (buffer) => new Int16Array(buffer) }],
  [512, { name: 'uint16', bytes: 2, view: (buffer) => new Uint16Array(buffer) }],
  [8, { name: 'int32', bytes: 4, view: (buffer) => new Int32Array(buffer) }],
  [768, { name: 'uint32', bytes: 4, view: (buffer) => new Uint32Array(buffer) }],
  [1024, { name: 'int64', bytes: 8, view: (buffer) => new BigInt64Array(buffer) }],
  [1280, { name: 'uint64', bytes: 8, view: (buffer) => new BigUint64Array(buffer) }],
  [16, { name: 'float32', bytes: 4, view: (buffer) => new Float32Array(buffer) }],
  [64, { name: 'float64', bytes: 8, view: (buffer) => new Float64Array(buffer) }],
]);

/** Types that hold no single number, or one that JavaScript does not have: named in messages. */
export const UNSUPPORTED_TYPES: ReadonlyMap<number, string> = new Map([
  [1, 'single bits'],
  [32, 'complex64'],
  [128, 'RGB colours'],
  [1536, 'float128'],
  [1792, 'complex128'],
  [2048, 'complex256'],
  [2304, 'RGBA colours'],
]);
