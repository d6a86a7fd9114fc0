/** Voxel types by their NIfTI code (nifti1.h, DT_*). */

type Stored = ArrayLike<number> | ArrayLike<bigint>;

export interface VoxelType {
  name: string;
  bytes: 1 | 2 | 4 | 8;
  /** Native-endian view of whole voxels. */
  view(bytes: Uint8Array<ArrayBuffer>): Stored;
}

type View = new (buffer: ArrayBuffer, offset: number, length: number) => Stored;
const viewAs =
  (array: View & { BYTES_PER_ELEMENT: number }) =>
  ({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): Stored =>
    new array(buffer, byteOffset, byteLength / array.BYTES_PER_ELEMENT);

export const VOXEL_TYPES: ReadonlyMap<number, VoxelType> = new Map<number, VoxelType>([
  [2, { name: 'uint8', bytes: 1, view: viewAs(Uint8Array) }],
  [256, { name: 'int8', bytes: 1, view: viewAs(Int8Array) }],
  [4, { name: 'int16', bytes: 2, view: viewAs(Int16Array) }],
  [512, { name: 'uint16', bytes: 2, view: viewAs(Uint16Array) }],
  [8, { name: 'int32', bytes: 4, view: viewAs(Int32Array) }],
  [768, { name: 'uint32', bytes: 4, view: viewAs(Uint32Array) }],
  [1024, { name: 'int64', bytes: 8, view: viewAs(BigInt64Array) }],
  [1280, { name: 'uint64', bytes: 8, view: viewAs(BigUint64Array) }],
  [16, { name: 'float32', bytes: 4, view: viewAs(Float32Array) }],
  [64, { name: 'float64', bytes: 8, view: viewAs(Float64Array) }],
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
