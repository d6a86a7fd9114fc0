import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { orientationCode } from '../../src/prepare/affine.js';
import { readNiftiHeader, readNiftiVoxels } from '../../src/prepare/nifti-file.js';
import { niftiBytes, TYPES, writeNifti } from './nifti-builder.js';

const work = mkdtempSync(join(tmpdir(), 'nifti-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const at = (name: string) => join(work, name);

const values = Array.from({ length: 24 }, (_, i) => i);
const base = { dims: [4, 3, 2], data: values };

async function voxels(path: string, channel = 0): Promise<number[]> {
  return [...(await readNiftiVoxels(await readNiftiHeader(path), channel))];
}

describe('voxels', () => {
  const cases = (Object.keys(TYPES) as (keyof typeof TYPES)[]).flatMap((type) =>
    [1, 2].flatMap((version) =>
      [true, false].map((littleEndian) => ({ type, version: version as 1 | 2, littleEndian })),
    ),
  );
  it.each(cases)('are read as $type of NIfTI-$version, little-endian $littleEndian', async (spec) => {
    const signed = !spec.type.startsWith('u');
    const data = values.map((v) => (signed ? v - 12 : v + 100));
    for (const name of ['a.nii', 'a.nii.gz']) {
      expect(await voxels(writeNifti(at(name), { ...base, ...spec, data }))).toEqual(data);
    }
  });

  it('are scaled by scl_slope and scl_inter; a slope of 0 or NaN means as stored', async () => {
    const scaled = writeNifti(at('scaled.nii'), { ...base, slope: 0.5, inter: -3 });
    expect(await voxels(scaled)).toEqual(values.map((v) => 0.5 * v - 3));
    for (const slope of [0, Number.NaN]) {
      expect(await voxels(writeNifti(at('plain.nii'), { ...base, slope, inter: 7 }))).toEqual(values);
    }
  });

  it('are those of one channel of a 4-D or 5-D volume', async () => {
    const path = writeNifti(at('4d.nii.gz'), {
      dims: [2, 3, 2, 2],
      data: values,
      type: 'float32',
      littleEndian: false,
    });
    expect((await readNiftiHeader(path)).channels).toBe(2);
    expect(await voxels(path, 0)).toEqual(values.slice(0, 12));
    expect(await voxels(path, 1)).toEqual(values.slice(12));
    const vector = writeNifti(at('5d.nii'), { dims: [2, 3, 2, 1, 2], data: values });
    expect(await voxels(vector, 1)).toEqual(values.slice(12));
    await expect(voxels(path, 2)).rejects.toThrow(
      /a channel from 0 to 1 for .*4d.nii.gz but received number 2/,
    );
  });

  it('are found behind a header extension', async () => {
    expect(await voxels(writeNifti(at('ext.nii'), { ...base, extension: 64 }))).toEqual(values);
    expect(await voxels(writeNifti(at('ext2.nii.gz'), { ...base, extension: 32, version: 2 }))).toEqual(
      values,
    );
  });

  it('of a large zipped volume are read across chunks of the stream', async () => {
    // 3 MiB of varying bytes: several chunks of 1 MiB, the channel begins inside one.
    const data = Uint8Array.from({ length: 3 << 20 }, (_, i) => (i * 2654435761) >>> 24);
    const path = writeNifti(at('large.nii.gz'), { dims: [128, 128, 64, 3], data, type: 'uint8' });
    const channel = await readNiftiVoxels(await readNiftiHeader(path), 1);
    expect(channel.every((v, i) => v === data[(1 << 20) + i])).toBe(true);
  });
});

describe('orientation', () => {
  const header = (spec: object) => readNiftiHeader(writeNifti(at('o.nii'), { ...base, ...spec }));

  it('comes from the sform where both are set', async () => {
    const sform = [
      [0, 0, 3, 5],
      [-2, 0, 0, 6],
      [0, 4, 0, 7],
    ];
    const qform = { bcd: [0, 0, 0], offset: [0, 0, 0], qfac: 1 };
    for (const version of [1, 2]) {
      for (const littleEndian of [true, false]) {
        const { affine, affineFrom } = await header({ sform, qform, version, littleEndian });
        expect([affine, affineFrom]).toEqual([sform, 'sform']);
        // i runs to posterior, j to superior, k to right.
        expect(orientationCode(affine)).toBe('PSR');
      }
    }
  });

  // nifti1.h gives this example: i to right, j to posterior, k to superior needs qfac -1 and [a,b,c,d] = [0,1,0,0].
  it('comes from the qform, whose qfac turns the third axis', async () => {
    const qform = { bcd: [1, 0, 0], offset: [10, 20, 30], qfac: -1 };
    for (const version of [1, 2]) {
      const { affine, affineFrom } = await header({ qform, version, spacing: [2, 3, 4] });
      expect(affineFrom).toBe('qform');
      expect(affine.flat().map((v) => v + 0)).toEqual([2, 0, 0, 10, 0, -3, 0, 20, 0, 0, 4, 30]);
      expect(orientationCode(affine)).toBe('RPS');
    }
  });

  it('of a quaternion of a quarter turn about z puts i along y', async () => {
    const { affine } = await header({ qform: { bcd: [0, 0, Math.SQRT1_2], offset: [0, 0, 0], qfac: 1 } });
    expect(orientationCode(affine)).toBe('ALS');
    // The stored quaternion is float32: a is only known to sqrt(1 - d^2) of it.
    expect(Math.abs(affine[1]![0]! - 1)).toBeLessThan(1e-6);
  });

  it('is spacing alone where neither is set', async () => {
    const { affine, affineFrom } = await header({ spacing: [2, 3, 4] });
    expect([affine, affineFrom]).toEqual([
      [
        [2, 0, 0, 0],
        [0, 3, 0, 0],
        [0, 0, 4, 0],
      ],
      'nothing',
    ]);
  });
});

describe('a file that is no usable volume is refused with a UsageError:', () => {
  const whole = niftiBytes({ ...base, data: Array.from({ length: 24 }, (_, i) => (i * 7919) % 1000) });
  const bad: [string, () => void, RegExp][] = [
    ['missing.nii', () => {}, /Cannot read .*missing.nii: no such file exists/],
    ['folder.nii', () => mkdirSync(at('folder.nii')), /folder.nii: it is a folder/],
    ['empty.nii', () => writeFileSync(at('empty.nii'), ''), /NIfTI-1 or NIfTI-2.*received an empty file/],
    [
      'text.nii',
      () => writeFileSync(at('text.nii'), 'hello '.repeat(200)),
      /without a NIfTI header.*dcm2niix/,
    ],
    ['short.nii', () => writeFileSync(at('short.nii'), whole.subarray(0, 200)), /without a NIfTI header/],
    [
      'pair.nii',
      () => writeNifti(at('pair.nii'), { ...base, magic: 'ni1\0' }),
      /received the header of an .hdr\/.img pair/,
    ],
    [
      'rgb.nii',
      () => writeNifti(at('rgb.nii'), { ...base, typeCode: 128 }),
      /voxels of type uint8.*received RGB colours/,
    ],
    ['odd.nii', () => writeNifti(at('odd.nii'), { ...base, typeCode: 77 }), /received type code 77/],
    [
      'cut.nii',
      () => writeFileSync(at('cut.nii'), whole.subarray(0, 360)),
      /48 bytes of voxels.*received only 8\. The file is truncated/,
    ],
    [
      'cut.nii.gz',
      () => writeFileSync(at('cut.nii.gz'), gzipSync(whole).subarray(0, -40)),
      /whole gzip data for .*cut.nii.gz/,
    ],
    [
      'cutin.nii.gz',
      () => writeFileSync(at('cutin.nii.gz'), gzipSync(whole.subarray(0, 360))),
      /received only 8\. The file is truncated/,
    ],
    [
      'dims.nii',
      () => writeNifti(at('dims.nii'), { ...base, dims: [4, 0, 2] }),
      /at least two dimensions.*\[3,4,0,2/,
    ],
  ];
  it.each(bad)('%s', async (name, make, message) => {
    make();
    const outcome = voxels(at(name));
    await expect(outcome).rejects.toThrow(message);
    await expect(outcome).rejects.toBeInstanceOf(UsageError);
  });
});
