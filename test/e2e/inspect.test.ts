/** The inspection of a dataset: what it counts, and that it finds what is wrong. */
import { copyFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { readNpy, writeNpy } from '../../src/io/npy.js';
import { Workplace } from './workplace.js';

const slices = 'data/imageSlice';

describe('a sound dataset', () => {
  const place = new Workplace().phantom();
  const run = (...args: string[]) => place.start('inspect.js', ['--config', place.config(), ...args]).ended;

  it('is described in numbers that its files bear out', async () => {
    const { code, stdout, stderr } = await run('--json');
    expect(code, stderr).toBe(0);
    const found = JSON.parse(stdout);
    const positives = (split: { names: string[] }) =>
      split.names.filter((name) => name.endsWith('_1')).length;
    const names = place.files(slices).map((file) => file.replace('.npy', ''));
    const areas = names
      .slice(6)
      .map((name) => readNpy(place.path(`data/masks/${name}.npy`)).data as Uint8Array)
      .map((mask) => mask.reduce((sum, value) => sum + value, 0))
      .filter((area) => area > 0)
      .sort((a, b) => a - b);
    const median = areas[Math.floor(areas.length / 2)]!;
    expect(found.splits[0]).toMatchObject({
      split: 'train',
      samples: 18,
      positives: positives({ names: names.slice(6) }),
      patients: 3,
      sizes: { '64 x 64': 18 },
      formats: { 'npy uint8': 18 },
      unreadable: [],
      masks: { present: 18, labelWithoutMask: [], maskWithoutLabel: [], medianPixels: median },
    });
    expect(found.splits[1]).toMatchObject({ split: 'val', samples: 6, patients: 1 });
    expect(found.duplicates).toEqual({ within: [], across: [] });
    // 18 slices in batches of 2; cam_iters 2, switch at 4, 8 in all: see TINY.
    expect(found.outlook).toMatchObject({
      rescaledSides: [32, 128],
      stepsPerEpoch: 9,
      iterations: { classification: 3, camLabels: 2, affinityLabels: 3 },
      pretrained: null,
    });
  });

  it('of small objects: warned of, unless the configuration keeps them', async () => {
    const warnings = async (...args: string[]) => JSON.parse((await run('--json', ...args)).stdout).warnings;
    expect(await warnings()).toEqual([
      expect.stringMatching(
        /^train: in half of the images that show a class it covers at most [0-3]\.\d cells of 16 x 16 pixels, .*train\.aff_balance: kinds/,
      ),
    ]);
    const keep = ['--set', 'train.aff_label_point=centre', '--set', 'train.aff_balance=kinds'];
    expect(await warnings(...keep)).toEqual([]);
    // Cells of 4 x 4 pixels: the same objects cover many.
    expect(await warnings('--set', 'backbone.stride=[4, 1, 1, 1]')).toEqual([]);
  });

  it('is shown as a table', async () => {
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^images +18 +6$/m);
    expect(stdout).toMatch(/^sizes, height x width +64 x 64 +64 x 64$/m);
    expect(stdout).toContain('9 steps an epoch (shuffle), 0.9 epochs in all: 3 iterations of classification');
  });
});

describe('a dataset with faults', () => {
  const place = new Workplace().phantom();
  let warnings: string[];
  beforeAll(async () => {
    const file = (name: string) => place.path(slices, `${name}.npy`);
    // The same picture on both sides, and twice within training.
    copyFileSync(file('LASC_000_00_1'), file('LASC_003_90_1'));
    copyFileSync(file('LASC_003_00_1'), file('LASC_003_91_1'));
    copyFileSync(place.path('data/masks/LASC_003_00_1.npy'), place.path('data/masks/LASC_003_91_1.npy'));
    writeFileSync(file('LASC_003_92_0'), 'not an array');
    const ct = Int16Array.from({ length: 64 * 64 }, (_, i) => (i % 2000) - 1000);
    writeNpy(file('LASC_003_93_0'), { dtype: 'int16', shape: [64, 64], data: ct });
    // A mask with nothing in it for a slice that is named positive, and the other way round.
    const empty = { dtype: 'uint8' as const, shape: [64, 64], data: new Uint8Array(64 * 64) };
    writeNpy(place.path('data/masks/LASC_003_90_1.npy'), empty);
    writeNpy(place.path('data/masks/LASC_003_93_0.npy'), {
      ...empty,
      data: empty.data.map((_, i) => Number(i < 9)),
    });
    const config = place.config({
      'dataset.slice_split': [0, 8],
      'train.aff_label_point': 'centre',
      'train.aff_balance': 'kinds',
    });
    const { code, stdout, stderr } = await place.start('inspect.js', ['--config', config, '--json']).ended;
    expect(code, stderr).toBe(0);
    warnings = JSON.parse(stdout).warnings;
  });

  it.each([
    ['an unreadable file', /^train: 1 file cannot be read\. .*LASC_003_92_0\.npy/],
    ['a patient on both sides', /^One patient is in training and in validation: LASC_001\./],
    [
      'a picture in two splits',
      /^1 image in more than one split, pixel by pixel: train\/LASC_003_90_1 = val\/LASC_000_00_1/,
    ],
    [
      'a picture twice in one',
      /^1 image more than once within a split: train\/LASC_003_00_1 = train\/LASC_003_91_1/,
    ],
    [
      'a label that the mask contradicts',
      /^train: 1 image with a class that the mask lacks, the first is LASC_003_90_1/,
    ],
    [
      'a mask that the label denies',
      /^train: 1 mask with a class that the label denies, the first is LASC_003_93_0/,
    ],
    [
      'values off the scale',
      /^train: values from -1000 to 999 are used as they are.* Set dataset\.intensity/,
    ],
  ])('shows %s', (_, warning) => {
    expect(warnings).toContainEqual(expect.stringMatching(warning));
  });

  it('says nothing else', () => {
    expect(warnings).toHaveLength(7);
  });
});

it('refuses what names alone show, with 2', async () => {
  const place = new Workplace().phantom();
  const config = place.config({ 'dataset.root_dir': 'nowhere' });
  const { code, stderr, stdout } = await place.start('inspect.js', ['--config', config]).ended;
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('nowhere but this folder does not exist');
});
