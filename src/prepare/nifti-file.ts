/**
 * NIfTI-1 and NIfTI-2 volumes, plain or gzipped, in either byte order. Headers are decoded by
 * nifti-reader-js; voxels are read here, one channel at a time and block by block, so that no file ever lies in memory whole.
 */

import { endianness } from 'node:os';
import { isNIFTI, isNIFTI1, isNIFTI2, NIFTI1, NIFTI2 } from 'nifti-reader-js';
import { expected, UsageError } from '../config/errors.js';
import { type Affine, quaternionAffine } from './affine.js';
import { byteChunks, readByteRange } from './byte-range.js';
import { UNSUPPORTED_TYPES, VOXEL_TYPES, type VoxelType } from './voxel-types.js';

/** What a header says. */
export interface NiftiHeader {
  path: string;
  /** Voxels along the three axes as stored; the first varies fastest. */
  dims: [number, number, number];
  /** Volumes in the file: times, contrasts or vector parts. */
  channels: number;
  /** Millimetres between voxels. */
  spacing: [number, number, number];
  affine: Affine;
  affineFrom: 'sform' | 'qform' | 'nothing';
  type: VoxelType;
  littleEndian: boolean;
  dataOffset: number;
  /** value = slope * stored + intercept */
  slope: number;
  intercept: number;
}

const NIFTI1_BYTES = 352;
const NIFTI2_BYTES = 540;
/** A multiple of every voxel type's size. */
const BLOCK_BYTES = 1 << 22;

/**
 * Reads and checks the header of a volume.
 * @throws UsageError for a file that is missing, no NIfTI volume, or of a voxel type that is not supported
 */
export async function readNiftiHeader(path: string): Promise<NiftiHeader> {
  const bytes = await readByteRange(path, 0, NIFTI2_BYTES);
  const header = decodeHeader(path, bytes.buffer);
  const rank = header.dims[0]!;
  const sizes = header.dims.slice(1, rank + 1);
  if (!(rank >= 2 && rank <= 7) || !sizes.every((n) => Number.isInteger(n) && n >= 1)) {
    throw fault(path, 'a volume of at least two dimensions', `a header with dimensions [${header.dims}]`);
  }
  const type = VOXEL_TYPES.get(header.datatypeCode);
  if (type === undefined) {
    const name = UNSUPPORTED_TYPES.get(header.datatypeCode) ?? `type code ${header.datatypeCode}`;
    const known = [...VOXEL_TYPES.values()].map((t) => t.name).join(', ');
    throw fault(path, `voxels of type ${known}`, name, 'Convert the volume to one of these types.');
  }
  const [nx, ny = 1, nz = 1, ...rest] = sizes as [number, ...number[]];
  // A slope of 0 (or none) means: values as stored.
  const scaled = Number.isFinite(header.scl_slope) && header.scl_slope !== 0;
  return {
    path,
    dims: [nx, ny, nz],
    channels: rest.reduce((product, n) => product * n, 1),
    ...geometry(header, new DataView(bytes.buffer)),
    type,
    littleEndian: header.littleEndian,
    dataOffset: Math.max(header.vox_offset, header instanceof NIFTI1 ? NIFTI1_BYTES : NIFTI2_BYTES),
    slope: scaled ? header.scl_slope : 1,
    intercept: scaled && Number.isFinite(header.scl_inter) ? header.scl_inter : 0,
  };
}

function decodeHeader(path: string, bytes: ArrayBuffer): NIFTI1 | NIFTI2 {
  const header = isNIFTI1(bytes) ? new NIFTI1() : isNIFTI2(bytes) ? new NIFTI2() : undefined;
  if (header === undefined) {
    const what = 'a NIfTI-1 or NIfTI-2 volume in one file (.nii or .nii.gz)';
    if (bytes.byteLength > 0 && isNIFTI(bytes, true)) {
      throw fault(path, what, 'the header of an .hdr/.img pair', 'Convert the pair to .nii.');
    }
    const received = bytes.byteLength === 0 ? 'an empty file' : 'a file without a NIfTI header';
    throw fault(path, what, received, 'DICOM series become NIfTI with dcm2niix.');
  }
  try {
    // Cut before the extensions: nothing here needs them, and an odd one would be refused.
    header.readHeader(bytes.slice(0, header instanceof NIFTI1 ? NIFTI1_BYTES : NIFTI2_BYTES));
  } catch (error) {
    throw fault(path, 'a whole NIfTI header', `a damaged one (${(error as Error).message})`);
  }
  return header;
}

/** Spacing and affine: sform where it is set, else qform, else spacing alone (nibabel also asks in this order). */
function geometry(
  header: NIFTI1 | NIFTI2,
  view: DataView,
): Pick<NiftiHeader, 'spacing' | 'affine' | 'affineFrom'> {
  const sized = (axis: number): number => Math.abs(header.pixDims[axis] ?? 0) || 1;
  const spacing: [number, number, number] = [sized(1), sized(2), sized(3)];
  if (header.sform_code > 0) {
    // Read here: the library gives the rows only where its own rule prefers them.
    const isFirst = header instanceof NIFTI1;
    const at = (index: number): number =>
      isFirst
        ? view.getFloat32(280 + 4 * index, header.littleEndian)
        : view.getFloat64(400 + 8 * index, header.littleEndian);
    const affine = [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => at(4 * row + column)));
    return { spacing, affine, affineFrom: 'sform' };
  }
  if (header.qform_code > 0) {
    const affine = quaternionAffine(
      [header.quatern_b, header.quatern_c, header.quatern_d],
      spacing,
      [header.qoffset_x, header.qoffset_y, header.qoffset_z],
      header.pixDims[0]! < 0 ? -1 : 1,
    );
    return { spacing, affine, affineFrom: 'qform' };
  }
  const affine = spacing.map((size, axis) => [0, 1, 2, 3].map((column) => (column === axis ? size : 0)));
  return { spacing, affine, affineFrom: 'nothing' };
}

/**
 * Voxels of one channel, scaled, [nz, ny, nx] (x varies fastest).
 * @param channel from 0
 * @throws UsageError when the channel does not exist or the file ends before its last voxel
 */
export async function readNiftiVoxels(header: NiftiHeader, channel: number): Promise<Float32Array> {
  const values = new Float32Array(voxelCount(header));
  for await (const block of voxelBlocks(header, channel)) values.set(block.values, block.start);
  return values;
}

/** Voxels of a volume. */
export const voxelCount = ({ dims }: NiftiHeader): number => dims[0] * dims[1] * dims[2];

/**
 * The voxels of `readNiftiVoxels` in blocks of neighbours, good until the next block: a scan of 600 slices stored as
 * float64 has more than a gigabyte, of which nobody needs more than the result.
 */
export async function* voxelBlocks(
  header: NiftiHeader,
  channel: number,
): AsyncGenerator<{ start: number; values: Float32Array }> {
  if (!Number.isInteger(channel) || channel < 0 || channel >= header.channels) {
    throw new UsageError(`${expected(`a channel from 0 to ${header.channels - 1}`, header.path, channel)}.`);
  }
  const { type } = header;
  const size = voxelCount(header) * type.bytes;
  const block = new Uint8Array(Math.min(size, BLOCK_BYTES));
  let filled = 0;
  let done = 0;
  for await (const chunk of byteChunks(header.path, header.dataOffset + channel * size, size)) {
    for (let from = 0; from < chunk.length; ) {
      const part = chunk.subarray(from, from + block.length - filled);
      block.set(part, filled);
      filled += part.length;
      from += part.length;
      if (filled < block.length && done + filled < size) continue;
      yield { start: done / type.bytes, values: decodeVoxels(block.subarray(0, filled), header) };
      done += filled;
      filled = 0;
    }
  }
  if (done < size) {
    const remedy = 'The file is truncated: copy or download it again.';
    const received = `only ${done + filled}`;
    throw fault(header.path, `${size} bytes of voxels in channel ${channel}`, received, remedy);
  }
}

/** Values of whole voxels, whose bytes are swapped in place where the file's order is not this machine's. */
function decodeVoxels(
  bytes: Uint8Array<ArrayBuffer>,
  { type, slope, intercept, littleEndian }: NiftiHeader,
): Float32Array {
  if (littleEndian !== (endianness() === 'LE')) swapBytes(bytes, type.bytes);
  const stored = type.view(bytes);
  const values = new Float32Array(stored.length);
  for (let i = 0; i < values.length; i++) values[i] = slope * Number(stored[i]) + intercept;
  return values;
}

function swapBytes(bytes: Uint8Array<ArrayBuffer>, size: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else if (size === 8) buffer.swap64();
}

function fault(path: string, what: string, received: string, remedy?: string): UsageError {
  return new UsageError(
    `Expected ${what} for ${path} but received ${received}.${remedy ? ` ${remedy}` : ''}`,
  );
}
