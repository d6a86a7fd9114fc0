import { mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readNpy } from '../../src/io/npy.js';
import { prepare } from '../../src/prepare/cli.js';
import { writeNifti } from './nifti-builder.js';
import { failure, folders, silentProgress } from './prepare-command.js';

const { folder } = folders();
silentProgress();

// As KiTS19 stores them: the first axis, which varies fastest, runs from superior to inferior.
const [SLICES, ROWS, COLUMNS] = [4, 6, 8];
const grid = {
  dims: [SLICES, ROWS, COLUMNS],
  spacing: [3, 1, 1],
  sform: [
    [0, 0, -1, 0],
    [0, -1, 0, 0],
    [-3, 0, 0, 0],
  ],
};

/** Voxels in the stored order from a function of slice (0 is inferior), row and column. */
function volume(value: (slice: number, row: number, column: number) => number): number[] {
  const data: number[] = [];
  for (let c = 0; c < COLUMNS; c++)
    for (let r = 0; r < ROWS; r++) for (let s = SLICES - 1; s >= 0; s--) data.push(value(s, r, c));
  return data;
}

/** Air, fat, water, tissue and bone by column, in Hounsfield units. */
const HU = [-1000, -160, 0, 42, 240, 1000, 42, 42];
/** Slice 1 has kidney, 2 kidney and a tumour, 3 nothing but a cyst. */
const label = (slice: number, row: number, column: number): number =>
  [0, 1, row < 3 ? 1 : 2, column === 2 ? 3 : 0][slice]!;

interface CaseSpec {
  imaging?: boolean;
  segmentation?: string | false;
}

function kits(cases: Record<string, CaseSpec>, inner = ''): { input: string; out: string } {
  const base = folder();
  const input = join(base, 'KiTS', inner);
  for (const [name, { imaging = true, segmentation = 'segmentation.nii.gz' }] of Object.entries(cases)) {
    const folder = join(input, name);
    mkdirSync(folder, { recursive: true });
    const data = volume((_, __, column) => HU[column]!);
    if (imaging) writeNifti(join(folder, 'imaging.nii.gz'), { ...grid, type: 'float64', data });
    if (segmentation) writeNifti(join(folder, segmentation), { ...grid, type: 'uint8', data: volume(label) });
  }
  return { input: inner === '' ? input : join(base, 'KiTS'), out: join(base, 'data') };
}

const names = (out: string, part = 'imageSlice') => readdirSync(join(out, part)).sort();
const pixels = (out: string, part: string, name: string) => [
  ...(readNpy(join(out, part, name)).data as Uint8Array),
];

describe('a folder of KiTS cases', () => {
  it('becomes slices with tumours as positive ones, in the abdominal window', async () => {
    const { input, out } = kits({ case_00003: {}, case_00012: {} });
    const text = await prepare(['nifti', input, '--out', out, '--min_area', '10']);
    const expected = ['003', '012'].flatMap((patient) =>
      [0, 1, 2, 3].map((slice) => `KITS_${patient}_00${slice}_${slice === 2 ? 1 : 0}.npy`),
    );
    expect(names(out)).toEqual(expected);
    expect(names(out, 'masks')).toEqual(expected);
    // -160..240 becomes 0..255: 0 HU is 102, 42 HU is 128.8.
    const row = [0, 0, 102, 129, 255, 255, 129, 129];
    expect(pixels(out, 'imageSlice', 'KITS_003_002_1.npy')).toEqual(Array(ROWS).fill(row).flat());
    const mask = Array.from({ length: ROWS * COLUMNS }, (_, i) => Number(i >= 3 * COLUMNS));
    expect(pixels(out, 'masks', 'KITS_003_002_1.npy')).toEqual(mask);
    expect(text).toContain('Positive labels: 2 (--positive). Window: -160,240 (--window).');
    const sidecar = JSON.parse(readFileSync(join(out, 'dataset.json'), 'utf8'));
    expect(sidecar).toMatchObject({ prefix: 'KITS', positive_labels: [2], positives: 2 });
    expect(sidecar.volumes[0]).toMatchObject({
      image: join('case_00003', 'imaging.nii.gz'),
      labels: join('case_00003', 'segmentation.nii.gz'),
      axes: { slice: { voxel_axis: 0, reversed: true } },
    });
  });

  it('takes flags before its own defaults', async () => {
    const { input, out } = kits({ case_00003: {} });
    const flags = ['--positive', '1,2,3', '--window', '0,255', '--prefix', 'KIDNEY', '--min_area', '6'];
    const text = await prepare(['nifti', input, '--out', out, ...flags]);
    expect(names(out)).toEqual(
      [0, 1, 2, 3].map((slice) => `KIDNEY_003_00${slice}_${slice === 0 ? 0 : 1}.npy`),
    );
    expect(pixels(out, 'imageSlice', 'KIDNEY_003_001_1.npy').slice(0, 4)).toEqual([0, 0, 0, 42]);
    expect(text).toContain('Positive labels: 1, 2, 3 (--positive). Window: 0,255 (--window).');
  });

  it('knows the names of KiTS21, and leaves out cases without segmentation', async () => {
    const { input, out } = kits({
      case_00000: { segmentation: 'aggregated_MAJ_seg.nii.gz' },
      case_00210: { segmentation: false },
    });
    const text = await prepare(['nifti', input, '--out', out, '--min_area', '10']);
    expect(names(out)).toHaveLength(4);
    expect(text).toContain('Left out 1 case without segmentation: case_00210.');
  });

  it('makes slices for maps alone where no case has a segmentation', async () => {
    const { input, out } = kits({ case_00210: { segmentation: false } });
    const text = await prepare(['nifti', input, '--out', out]);
    expect(names(out)).toEqual([0, 1, 2, 3].map((slice) => `KITS_210_00${slice}_0.npy`));
    expect(text).toContain('the slices serve for exporting maps, not for training');
  });

  it.each(['data', 'dataset', join('kits21', 'data')])('points to cases in %s', async (inner) => {
    const { input, out } = kits({ case_00003: {} }, inner);
    expect(await failure(['nifti', input, '--out', out])).toContain(`Did you mean ${join(input, inner)}?`);
  });

  it('names cases whose scans were never downloaded', async () => {
    const { input, out } = kits({ case_00000: {}, case_00001: { imaging: false } });
    expect(await failure(['nifti', input, '--out', out])).toMatch(
      /imaging.nii.gz in every case .* received none in case_00001. .*download script/,
    );
  });

  it('says when no case shows a tumour', async () => {
    const { input, out } = kits({ case_00000: {} });
    expect(await failure(['nifti', input, '--out', out, '--positive', '4'])).toMatch(
      /pixels of label 4 for .*KiTS but received none; it holds the labels 1, 2, 3/,
    );
  });

  it('takes a folder of volumes where there are no cases', async () => {
    const { input, out } = kits({ case_00003: {} });
    const flat = join(input, '..', 'flat');
    mkdirSync(flat);
    renameSync(join(input, 'case_00003', 'imaging.nii.gz'), join(flat, 'scan_7.nii.gz'));
    const text = await prepare(['nifti', flat, '--out', out]);
    expect(names(out)[0]).toBe('LASC_007_000_0.npy');
    expect(text).not.toContain('Positive labels');
  });
});
