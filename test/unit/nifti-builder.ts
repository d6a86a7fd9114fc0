/** Builds NIfTI files byte by byte from the published header layout (nifti1.h, nifti2.h), for tests. */

import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

/** Type code, bytes and DataView setter of each voxel type. */
export const TYPES = {
  uint8: [2, 1, 'setUint8'],
  int8: [256, 1, 'setInt8'],
  int16: [4, 2, 'setInt16'],
  uint16: [512, 2, 'setUint16'],
  int32: [8, 4, 'setInt32'],
  uint32: [768, 4, 'setUint32'],
  int64: [1024, 8, 'setBigInt64'],
  uint64: [1280, 8, 'setBigUint64'],
  float32: [16, 4, 'setFloat32'],
  float64: [64, 8, 'setFloat64'],
} as const;

export interface NiftiSpec {
  /** Sizes along x (fastest), y, z and further dimensions. */
  dims: number[];
  /** Stored values, x fastest. */
  data: ArrayLike<number>;
  type?: keyof typeof TYPES;
  littleEndian?: boolean;
  version?: 1 | 2;
  slope?: number;
  inter?: number;
  spacing?: number[];
  /** sform rows; sets sform_code. */
  sform?: number[][];
  /** Quaternion b, c, d and offset; sets qform_code. */
  qform?: { bcd: number[]; offset: number[]; qfac: number };
  /** Bytes of header extension between header and voxels. */
  extension?: number;
  magic?: string;
  typeCode?: number;
}

export function niftiBytes(spec: NiftiSpec): Buffer {
  const { dims, data, type = 'int16', littleEndian: le = true, version = 1, extension = 0 } = spec;
  const [code, bytes, setter] = TYPES[type];
  const first = version === 1;
  const start = (first ? 352 : 544) + extension;
  const buffer = Buffer.alloc(start + data.length * bytes);
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  const real = (at: number, value: number) =>
    first ? view.setFloat32(at, value, le) : view.setFloat64(at, value, le);
  const reals = (at: number, values: number[]) => {
    for (const [i, v] of values.entries()) real(at + i * (first ? 4 : 8), v);
  };
  const int = (at: number, value: number) =>
    first ? view.setInt16(at, value, le) : view.setInt32(at, value, le);

  view.setInt32(0, first ? 348 : 540, le);
  buffer.write(spec.magic ?? (first ? 'n+1\0' : 'n+2\0\r\n\x1a\n'), first ? 344 : 4, 'latin1');
  [dims.length, ...dims, ...Array(7 - dims.length).fill(1)].forEach((n, i) => {
    if (first) view.setInt16(40 + 2 * i, n, le);
    else view.setBigInt64(16 + 8 * i, BigInt(n), le);
  });
  view.setInt16(first ? 70 : 12, spec.typeCode ?? code, le);
  view.setInt16(first ? 72 : 14, 8 * bytes, le);
  reals(first ? 76 : 104, [spec.qform?.qfac ?? 1, ...(spec.spacing ?? [1, 1, 1])]);
  if (first) view.setFloat32(108, start, le);
  else view.setBigInt64(168, BigInt(start), le);
  reals(first ? 112 : 176, [spec.slope ?? 0, spec.inter ?? 0]);
  if (spec.qform) {
    int(first ? 252 : 344, 1);
    reals(first ? 256 : 352, [...spec.qform.bcd, ...spec.qform.offset]);
  }
  if (spec.sform) {
    int(first ? 254 : 348, 1);
    reals(first ? 280 : 400, spec.sform.flat());
  }
  if (extension > 0) {
    const at = first ? 348 : 540;
    view.setUint8(at, 1);
    view.setInt32(at + 4, extension, le);
    view.setInt32(at + 8, 6, le);
  }
  for (let i = 0; i < data.length; i++) {
    const at = start + i * bytes;
    if (setter === 'setBigInt64' || setter === 'setBigUint64') view[setter](at, BigInt(data[i]!), le);
    else view[setter](at, data[i]!, le);
  }
  return buffer;
}

/** Writes a volume; gzipped when the name ends in .gz. */
export function writeNifti(path: string, spec: NiftiSpec): string {
  const bytes = niftiBytes(spec);
  writeFileSync(path, path.endsWith('.gz') ? gzipSync(bytes) : bytes);
  return path;
}
