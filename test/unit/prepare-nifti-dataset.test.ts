import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { MedicalClsValDataset } from '../../src/datasets/medical-slices.js';
import { readNpy } from '../../src/io/npy.js';
import { prepare } from '../../src/prepare/cli.js';
import { type NiftiSpec, writeNifti } from './nifti-builder.js';
import { failure, folders, silentProgress } from './prepare-command.js';

const { folder } = folders();
// Looked at below.
const stderr = silentProgress();
beforeEach(() => stderr.mockClear());

const names = (out: string, part = 'imageSlice') => readdirSync(join(out, part)).sort();
const pixels = (out: string, part: string, name: string) => [
  ...(readNpy(join(out, part, name)).data as Uint8Array),
];
const sidecar = (out: string) => JSON.parse(readFileSync(join(out, 'dataset.json'), 'utf8'));

// 8 x 6 pixels and 5 slices, stored so that axial slices come out as stored: i to left, j to posterior.
const LPS = [
  [-1, 0, 0, 0],
  [0, -1, 0, 0],
  [0, 0, 2, 0],
];
const grid = { dims: [8, 6, 5], sform: LPS, spacing: [1, 1, 2] };
const AREA = 48;

/** Voxels by slice: slice 0 is all air, the others rise from 1 to 48 over their pixels. */
const image = Array.from({ length: 5 * AREA }, (_, i) => (i < AREA ? 0 : 1 + (i % AREA)));
/** A label volume with `areas[slice]` voxels of `label` at the start of each slice. */
function labelled(areas: number[], label = 1): number[] {
  return areas.flatMap((area) => Array.from({ length: AREA }, (_, i) => (i < area ? label : 0)));
}

interface Case {
  image?: Partial<NiftiSpec>;
  labels?: Partial<NiftiSpec>;
  flags?: string[];
}

/** The arguments that prepare one volume, and the output folder. */
function call({ image: imageSpec = {}, labels, flags = [] }: Case): { out: string; argv: string[] } {
  const dir = folder();
  const out = join(dir, 'out');
  const input = writeNifti(join(dir, 'scan.nii.gz'), { ...grid, data: image, ...imageSpec });
  const args = ['nifti', '--input', input, '--out', out];
  if (labels)
    args.push('--labels', writeNifti(join(dir, 'seg.nii'), { ...grid, data: [], type: 'uint8', ...labels }));
  return { out, argv: [...args, ...flags] };
}

/** Prepares one volume; returns the output folder and what was said. */
async function run(spec: Case): Promise<{ out: string; text: string }> {
  const { out, argv } = call(spec);
  return { out, text: await prepare(argv) };
}

describe('one volume and its labels', () => {
  it('become uint8 slices named by label, masks of the same names, and a sidecar', async () => {
    const { out, text } = await run({
      labels: { data: labelled([0, 0, 30, 48, 0], 7) },
      flags: ['--positive', '7', '--window', '1,48'],
    });
    const expectedNames = [
      'LASC_000_001_0.npy',
      'LASC_000_002_1.npy',
      'LASC_000_003_1.npy',
      'LASC_000_004_0.npy',
    ];
    expect(names(out)).toEqual(expectedNames);
    expect(names(out, 'masks')).toEqual(expectedNames);
    const { dtype, shape } = readNpy(join(out, 'imageSlice', 'LASC_000_002_1.npy'));
    expect([dtype, shape]).toEqual(['uint8', [6, 8]]);
    // Window 1..48: pixel p of a slice, of value 1 + p, becomes round(255 p / 47).
    const ramp = Array.from({ length: AREA }, (_, p) => Math.round((255 * p) / 47));
    expect(pixels(out, 'imageSlice', 'LASC_000_002_1.npy')).toEqual(ramp);
    expect(pixels(out, 'masks', 'LASC_000_002_1.npy')).toEqual(labelled([30]));
    expect(pixels(out, 'masks', 'LASC_000_004_0.npy')).toEqual(labelled([0]));
    expect(sidecar(out)).toMatchObject({
      source: 'nifti',
      slices: 4,
      positives: 2,
      patients: 1,
      positive_labels: [7],
      volumes: [
        {
          patient: '000',
          image: 'scan.nii.gz',
          labels: 'seg.nii',
          orientation: 'LPS',
          shape: [8, 6, 5],
          spacing_mm: { slice: 2, row: 1, column: 1 },
          axes: { slice: { voxel_axis: 2, reversed: false }, row: { voxel_axis: 1, reversed: false } },
          window: [1, 48],
          written: 4,
          positives: 2,
          skipped: { small: 0, empty: 1 },
        },
      ],
    });
    expect(text).toContain(`Wrote 4 slices (2 positive) of 1 patient to ${out} (imageSlice/ and masks/).`);
    expect(text).toContain('Left out 1 slice with too little tissue');
    expect(text).toContain('Only one patient');
    expect(text).toContain(
      `node dist/train.js --dataset lasc --crop_size 64 --set dataset.root_dir=${out}/imageSlice`,
    );
    expect(text).toContain('--set "dataset.slice_split=[0, 2]"');
  });

  it('are read by the dataset of medical slices, on the suggested split', async () => {
    const { out } = await run({ labels: { data: labelled([0, 0, 30, 48, 0]) } });
    const rootDir = join(out, 'imageSlice');
    const val = new MedicalClsValDataset({ rootDir, sliceSplit: sidecar(out).slice_split });
    expect(val.names).toEqual(['LASC_000_001_0', 'LASC_000_002_1']);
    expect([...val.get(1).label]).toEqual([1]);
    expect(val.get(1).mask).toEqual({ data: Uint8Array.from(labelled([30])), height: 6, width: 8 });
  });

  it('count every label but 0 unless told, also from floats with a scale factor', async () => {
    const data = [...labelled([0, 20], 1), ...labelled([20, 0, 0], 3)];
    const all = await run({ labels: { data, type: 'float32', slope: 0.1 * 10 } });
    expect(names(all.out).filter((name) => name.endsWith('_1.npy'))).toHaveLength(2);
    const one = await run({ labels: { data }, flags: ['--positive', '2,3'] });
    expect(names(one.out).filter((name) => name.endsWith('_1.npy'))).toEqual(['LASC_000_002_1.npy']);
  });

  it('are windowed by percentiles 1 and 99 of the non-zero voxels by default', async () => {
    const { out } = await run({ labels: { data: labelled([0, 48, 0, 0, 0]) } });
    // 192 voxels, four of each value from 1 to 48: ranks 2 and 191.
    expect(sidecar(out).volumes[0].window).toEqual([1, 48]);
  });

  it.each([
    [[], ['002_1', '003_0', '004_0'], 0],
    [['--small', 'negative'], ['001_0', '002_1', '003_0', '004_0'], 255],
    [['--small', 'positive'], ['001_1', '002_1', '003_0', '004_0'], 1],
    [['--min-area', '5'], ['001_1', '002_1', '003_0', '004_0'], 1],
    [['--empty', 'keep'], ['000_0', '002_1', '003_0', '004_0'], 0],
    // 43 of the 48 pixels of a slice are above a tenth of the window.
    [['--empty', '44'], ['002_1'], 0],
  ])('obey %j', async (flags, kept, smallMask) => {
    const { out } = await run({ labels: { data: labelled([0, 5, 20, 0, 0]) }, flags });
    expect(names(out)).toEqual(kept.map((name) => `LASC_000_${name}.npy`));
    const small = names(out, 'masks').find((name) => name.includes('_001_'));
    if (small) expect(pixels(out, 'masks', small)).toEqual(labelled([5], smallMask));
  });

  it('can be cut along another axis', async () => {
    const { out } = await run({
      labels: { data: labelled([0, 48, 48, 48, 48]) },
      flags: ['--axis', 'coronal'],
    });
    // j runs to posterior: coronal slices, from posterior to anterior, go against it; superior is at the top.
    expect(names(out)).toHaveLength(6);
    expect(readNpy(join(out, 'imageSlice', 'LASC_000_000_1.npy')).shape).toEqual([5, 8]);
    const mask = pixels(out, 'masks', 'LASC_000_000_1.npy');
    expect(mask).toEqual([...Array(32).fill(1), ...Array(8).fill(0)]);
    expect(sidecar(out).volumes[0].axes).toEqual({
      slice: { voxel_axis: 1, reversed: true },
      row: { voxel_axis: 2, reversed: true },
      column: { voxel_axis: 0, reversed: false },
    });
  });

  it('without labels give slices named _0, no masks, and no word of training', async () => {
    const { out, text } = await run({});
    expect(names(out)).toHaveLength(4);
    expect(names(out).every((name) => name.endsWith('_0.npy'))).toBe(true);
    expect(existsSync(join(out, 'masks'))).toBe(false);
    expect(text).toContain('not for training');
    expect(text).not.toContain('dist/train.js');
  });

  it('without orientation are taken as right, anterior, superior, and that is said', async () => {
    const { text } = await run({ image: { sform: undefined } });
    expect(text).toContain('1 volume without orientation');
  });

  it('choose a channel of four', async () => {
    const channels = [1, 2, 3, 4].flatMap((c) => image.map((v, i) => (i % 2 === 0 ? v : c * v)));
    const spec = {
      image: { dims: [8, 6, 5, 4], data: channels },
      labels: { data: labelled([0, 48, 0, 0, 0]) },
    };
    const { out } = await run({
      ...spec,
      flags: ['--channel', '2', '--window', '0,255', '--prefix', 'BRATS'],
    });
    expect(pixels(out, 'imageSlice', 'BRATS_000_001_1.npy').slice(0, 4)).toEqual([1, 6, 3, 12]);
    await expect(run(spec)).rejects.toThrow(
      /--channel from 0 to 3 for .*scan.nii.gz, which holds 4 channels, but received none/,
    );
    await expect(run({ ...spec, flags: ['--channel', '4'] })).rejects.toThrow(
      /from 0 to 3 .* but received 4/,
    );
  });
});

describe('folders in the layout of the Medical Segmentation Decathlon', () => {
  function decathlon(stems: string[], areas: number[][]): string {
    const task = folder();
    for (const part of ['imagesTr', 'labelsTr']) mkdirSync(join(task, part));
    stems.forEach((stem, i) => {
      writeNifti(join(task, 'imagesTr', `${stem}.nii.gz`), { ...grid, data: image });
      writeNifti(join(task, 'labelsTr', `${stem}.nii.gz`), {
        ...grid,
        data: labelled(areas[i]!),
        type: 'uint8',
      });
      // macOS leaves such files in archives; these are in the Decathlon's.
      writeFileSync(join(task, 'imagesTr', `._${stem}.nii.gz`), 'no volume');
      writeFileSync(join(task, 'labelsTr', `._${stem}.nii.gz`), 'no volume');
    });
    return task;
  }
  const both = [0, 0, 48, 48, 0];

  it('keep patients together, numbered as their files', async () => {
    const task = decathlon(['la_030', 'la_003', 'la_1004'], [both, both, both]);
    const out = join(task, 'out');
    const text = await prepare(['nifti', `${task}/imagesTr`, '--labels', `${task}/labelsTr`, '--out', out]);
    expect(names(out)).toEqual(
      ['0003', '0030', '1004'].flatMap((p) =>
        ['001_0', '002_1', '003_1', '004_0'].map((s) => `LASC_${p}_${s}.npy`),
      ),
    );
    expect(sidecar(out).slice_split).toEqual([0, 4]);
    expect(text).toContain(
      'validation 4 slices (2 positive) of 1 patient, training 8 slices (4 positive) of 2 patients',
    );
    expect(text).not.toContain('Note:');
    expect(String(stderr.mock.lastCall?.[0])).toContain('3/3 (100%) la_1004.nii.gz: 2 of 4 slices positive');
  });

  it('named BRATS_* become BRATS slices and the train command says brats', async () => {
    const task = decathlon(['BRATS_001', 'BRATS_002'], [both, both]);
    const out = join(task, 'BraTS');
    const text = await prepare(['nifti', `${task}/imagesTr`, '--labels', `${task}/labelsTr`, '--out', out]);
    expect(names(out)[0]).toBe('BRATS_001_001_0.npy');
    expect(text).toContain('node dist/train.js --dataset brats');
  });

  it('are numbered from 0 where names have no number of their own', async () => {
    const task = decathlon(['a_1', 'b_1'], [both, both]);
    const out = join(task, 'out');
    await prepare(['nifti', `${task}/imagesTr`, '--labels', `${task}/labelsTr`, '--out', out]);
    expect(sidecar(out).volumes.map((v: { patient: string; image: string }) => [v.patient, v.image])).toEqual(
      [
        ['000', 'a_1.nii.gz'],
        ['001', 'b_1.nii.gz'],
      ],
    );
  });

  it('with missing labels are refused by name, before anything is written', async () => {
    const task = decathlon(['la_003', 'la_004'], [both, both]);
    rmSync(join(task, 'labelsTr', 'la_004.nii.gz'));
    const args = ['nifti', `${task}/imagesTr`, '--labels', `${task}/labelsTr`, '--out', join(task, 'out')];
    await expect(prepare(args)).rejects.toThrow(
      /labelsTr for every volume but received none for la_004.nii.gz/,
    );
    expect(existsSync(join(task, 'out'))).toBe(false);
  });

  it('one level too high are refused with the folders that are meant', async () => {
    const task = decathlon(['la_003'], [both]);
    await expect(prepare(['nifti', task, '--out', join(task, 'out')])).rejects.toThrow(
      `Did you mean --input ${task}/imagesTr --labels ${task}/labelsTr?`,
    );
  });
});

describe('what cannot be used', () => {
  const shifted = LPS.map((row, i) => (i === 0 ? [...row.slice(0, 3), 9] : row));
  const bad: [string, Case, RegExp][] = [
    [
      'labels of another size',
      { labels: { dims: [8, 5, 6], data: labelled([1, 0, 0, 0, 0]) } },
      /labels of 8 x 6 x 5 voxels.*received 8 x 5 x 6\. Resample/,
    ],
    [
      'labels elsewhere',
      { labels: { sform: shifted, data: labelled([48, 0, 0, 0, 0]) } },
      /placed up to 9.0 mm apart \(the affines differ\).*--ignore_affine/,
    ],
    [
      'labels of two channels',
      { labels: { dims: [8, 6, 5, 2], data: [...image, ...image] } },
      /one channel for the labels .*seg.nii but received 2/,
    ],
    [
      'probabilities',
      { labels: { type: 'float32', data: image.map((v) => v / 100) } },
      /whole label numbers for .*seg.nii but received 0.0/,
    ],
    [
      'labels that are not there',
      { labels: { data: labelled([0, 9, 9, 9, 9], 3) }, flags: ['--positive', '5'] },
      /20 pixels of label 5 for .*seg.nii but received none; it holds the labels 3\./,
    ],
    [
      'labels that are all 0',
      { labels: { data: labelled([0, 0, 0, 0, 0]) } },
      /any label but 0 for .* it holds only 0\. Check --positive/,
    ],
    [
      'a volume of zeros',
      { image: { data: image.map(() => 0) } },
      /scan.nii.gz but received a volume of zeros/,
    ],
    ['a volume of one value', { image: { data: image.map(() => 4) } }, /varying intensities .* both at 4/],
    [
      'a window above all voxels',
      { flags: ['--window', '1000,2000'] },
      /slices with tissue .*Check --window/,
    ],
    [
      'no label number',
      { flags: ['--positive', '0'] },
      /label numbers other than 0.* for --positive but received string '0'/,
    ],
    ['an unknown axis', { flags: ['--axis', 'oblique'] }, /for --axis but received string 'oblique'/],
    ['an unknown policy', { flags: ['--small', 'maybe'] }, /for --small but received string 'maybe'/],
    [
      'a prefix with a separator',
      { flags: ['--prefix', 'MY_SET'] },
      /for --prefix but received string 'MY_SET'/,
    ],
  ];
  it.each(bad)('%s', async (_, spec, message) => {
    const { out, argv } = call(spec);
    expect(await failure(argv)).toMatch(message);
    // Nothing is left behind: neither a half dataset nor an empty folder.
    expect(existsSync(out)).toBe(false);
  });

  it('grids that differ in the header only are accepted with --ignore_affine', async () => {
    const labels = { sform: shifted, data: labelled([48, 0, 48, 0, 0]) };
    const { out } = await run({ labels, flags: ['--ignore_affine'] });
    expect(sidecar(out).positives).toBe(2);
  });

  it('an existing dataset is kept unless --overwrite, which leaves other files alone', async () => {
    const { out } = await run({ labels: { data: labelled([0, 48, 0, 0, 0]) } });
    writeFileSync(join(out, 'notes.txt'), 'mine');
    const input = join(out, '..', 'scan.nii.gz');
    await expect(prepare(['nifti', input, '--out', out])).rejects.toThrow(/holds files already.*--overwrite/);
    expect(names(out, 'masks')).toHaveLength(4);
    await prepare(['nifti', input, '--out', out, '--overwrite']);
    expect(existsSync(join(out, 'masks'))).toBe(false);
    expect(readdirSync(out).sort()).toEqual(['dataset.json', 'imageSlice', 'notes.txt']);
  });

  it('paths that do not exist, and a folder with a single label file', async () => {
    const dir = folder();
    await expect(prepare(['nifti', join(dir, 'nothing'), '--out', dir])).rejects.toThrow(
      /--input but .*nothing does not exist/,
    );
    await expect(prepare(['nifti', dir, '--out', dir])).rejects.toThrow(
      /Expected .nii or .nii.gz files in .* but received none\./,
    );
    const path = writeNifti(join(dir, 'a.nii'), { ...grid, data: image });
    await expect(prepare(['nifti', dir, '--labels', path, '--out', dir])).rejects.toThrow(
      /a folder for --labels/,
    );
    await expect(prepare(['nifti', path, '--labels', join(dir, 'b.nii'), '--out', dir])).rejects.toThrow(
      /--labels but .*b.nii does not exist/,
    );
    await expect(prepare(['nifti', path, '--input', path, '--out', dir])).rejects.toThrow(/received both/);
    await expect(prepare(['nifti', '--out', dir])).rejects.toThrow(
      /a folder for --input but received nothing/,
    );
  });
});

describe('the command', () => {
  it('draws phantoms, and says how to train on them', async () => {
    const out = join(folder(), 'phantom');
    const text = await prepare([
      'phantom',
      '--out',
      out,
      '--patients=4',
      '--slices',
      '3',
      '--size',
      '64',
      '--seed',
      '3',
    ]);
    expect(names(out)).toHaveLength(12);
    expect(text).toContain('of 4 patients');
    expect(text).toMatch(
      /node dist\/train.js --dataset demo --crop_size 64 .*"dataset.slice_split=\[0, 3\]"/,
    );
  });

  it.each([
    [[], /phantom, nifti, voc or coco for node dist\/prepare.js but received nothing/],
    [['dicom'], /phantom, nifti, voc or coco for .* but received string 'dicom'/],
    [['constructor'], /phantom, nifti, voc or coco/],
    [['--bogus'], /[Uu]nknown option '--bogus'/],
    [['phantom'], /'--out <folder>' not specified/],
    [['phantom', '--out', 'x', '--seed', 'one'], /for --seed but received string 'one'/],
    [['nifti', 'a', 'b', '--out', 'x'], /too many arguments/i],
  ])('refuses %j with exit code 2', async (argv, message) => {
    expect(await failure(argv)).toMatch(message);
  });
});
