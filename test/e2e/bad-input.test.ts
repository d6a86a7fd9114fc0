/**
 * Input that cannot be right: one message that names file and remedy, exit code 2 where it can be known before
 * training starts and 1 later, no stack, nothing half-written.
 */
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { type CheckpointValue, readStateDict, writeCheckpoint } from '../../src/io/checkpoint.js';
import { writeNpy } from '../../src/io/npy.js';
import { writeSafetensors } from '../../src/io/safetensors.js';
import { WeTr } from '../../src/models/wetr.js';
import { deviceAvailable, type RawTensor } from '../../src/tensor/index.js';
import { type Ended, Workplace } from './workplace.js';

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});

const fixture = (name: string) => new URL(`../fixtures/io/${name}`, import.meta.url);

/** One paragraph that begins with "Error: ", the last thing said; nothing on standard output. */
function errorOf({ stdout, stderr }: Ended): string {
  expect(stdout).toBe('');
  expect(stderr).not.toMatch(/^\s+at .*:\d+|node:internal|\bundefined\b|\[object/m);
  expect(stderr.match(/^Error: /gm), stderr).toHaveLength(1);
  return stderr.slice(stderr.search(/^Error: /m));
}

/** Refused at the start: not even the work directory was made. */
async function refused(args: readonly string[], ...parts: (string | RegExp)[]): Promise<string> {
  const ended = await place.start('train.js', args).ended;
  const message = errorOf(ended);
  for (const part of parts) expect(message).toMatch(part);
  expect(ended.code, message).toBe(2);
  expect(existsSync(place.path('work'))).toBe(false);
  return message;
}

/** Refused by the tiny configuration with other values. */
const refusedWith = (settings: Record<string, unknown>, ...parts: (string | RegExp)[]) =>
  refused(['--cpu', '--config', place.config(settings)], ...parts);

describe('data', () => {
  it.each([
    ['lasc', 'data/LASC', 'Task02_Heart', ''],
    ['brats', 'data/BraTS', 'Task01_BrainTumour', ' --channel 0'],
  ])(
    'of %s missing: where they come from, and the command that makes them',
    async (name, folder, task, flags) => {
      const message = await refused(
        ['--dataset', name, '--cpu'],
        `Error: Expected slices {name}_{label}.npy in dataset.root_dir ${folder}/imageSlice but this folder does not exist`,
        `the public ${task} of the Medical Segmentation Decathlon (medicaldecathlon.com)`,
      );
      expect(message).toContain(
        `\n  node dist/prepare.js nifti ${task}/imagesTr --labels ${task}/labelsTr${flags}`,
      );
      expect(message).toContain(`--out ${folder}`);
      expect(existsSync(place.path(`work_dir_${name}`))).toBe(false);
    },
  );

  it('a folder without slices, or a file in its place', async () => {
    mkdirSync(place.path('data', 'imageSlice'), { recursive: true });
    writeFileSync(place.path('data', 'imageSlice', 'notes.txt'), '');
    await refusedWith({}, 'data/imageSlice but received no .npy file (1 other entries)', 'Decathlon');
    writeFileSync(place.path('file'), '');
    await refusedWith({ 'dataset.root_dir': 'file' }, 'in dataset.root_dir file but this folder is a file');
  });

  it('a split beyond the list, an empty one, one that does not exist', async () => {
    place.phantom();
    const advice = '[0, 4], for example, validates on the first fifth';
    await refusedWith(
      { 'dataset.slice_split': [6, 25] },
      'within the 24 slices of data/imageSlice but received [6, 25]',
      advice,
    );
    await refusedWith(
      { 'dataset.slice_split': [0, 24] },
      "at least one slice in split 'train' but received none",
      advice,
    );
    await refusedWith({ 'dataset.slice_split': [6, 6] }, /slice_split/, 'val_start < train_start');
    // Known by its name alone: not hours later, at the first validation.
    await refusedWith({ 'val.split': 'valid' }, "Expected 'train', 'val' or 'test'", "'valid'");
  });

  it('a file name without a label, or with one too high', async () => {
    place.phantom();
    const [good, bad] = ['LASC_003_05_0.npy', 'scan.npy'].map((name) => place.path('data/imageSlice', name));
    rmSync(place.path('data/masks'), { recursive: true });
    copyFileSync(good!, bad!);
    await refusedWith({}, 'for data/imageSlice/scan.npy but received no label. Rename the file');
    renameSync(bad!, place.path('data/imageSlice/LASC_000_00_7.npy'));
    await refusedWith(
      {},
      'data/imageSlice/LASC_000_00_7.npy but received label 7',
      'raise dataset.num_classes',
    );
  });

  it('more slices in a batch than there are', async () => {
    place.phantom();
    const message =
      /at least 19 training samples \(train\.samples_per_gpu 19 x 1 processes\) but received 18/;
    await refusedWith({ 'train.samples_per_gpu': 19 }, message, 'Lower train.samples_per_gpu or add data');
  });

  it('validation images that are too small for the smallest scale', async () => {
    place.phantom({ size: 56 });
    const message =
      'at least 58 pixels a side, which leave 29 at scale 0.5, for image LASC_000_00_1 but received 56 x 56';
    await refusedWith({}, message);
  });

  it('a mask without its slice', async () => {
    place.phantom();
    rmSync(place.path('data/imageSlice/LASC_002_03_1.npy'));
    await refusedWith(
      {},
      'a slice data/imageSlice/LASC_002_03_1.npy for mask data/masks/LASC_002_03_1.npy but received none',
      '1 of 24 masks have no slice',
    );
  });
});

describe('contents, which are first read by the first batch', () => {
  const FIXTURES = [
    ['bad_empty.npy', /an empty file|0 bytes/],
    ['bad_magic.npy', /\.npy/],
    ['bad_nan.npy', /finite values .* received NaN/],
    ['bad_object.npy', /object array .* could run code/],
    ['bad_truncated.npy', /received only \d+ bytes.*truncated/],
  ] as const;

  it.each(FIXTURES)('%s ends with 2 while nothing is trained', async (name, what) => {
    place.phantom();
    const file = 'data/imageSlice/LASC_002_03_1.npy';
    copyFileSync(fixture(`npy/${name}`), place.path(file));
    // All training slices in one batch: the first one holds it.
    const ended = await place.train('--config', place.config({ 'train.samples_per_gpu': 18 }));
    const message = errorOf(ended);
    expect(message).toMatch(/^Error: Expected /);
    expect(message).toContain(file);
    expect(message).toMatch(what);
    expect(ended.code).toBe(2);
    expect(place.files('work', 'checkpoints')).toEqual([]);
  });

  it('later ends with 1, keeps what is trained, and goes on once it is mended', async () => {
    place.phantom();
    const file = place.path('data/imageSlice/LASC_002_03_1.npy');
    const good = place.read('data/imageSlice/LASC_002_03_1.npy');
    copyFileSync(fixture('npy/bad_truncated.npy'), file);
    // Nine batches an epoch; with this seed the slice is not in the first one.
    const config = place.config({ 'train.max_iters': 9, 'train.num_workers': 2, 'train.seed': 3 });
    const ended = await place.train('--config', config);
    const message = errorOf(ended);
    expect(message).toContain('data/imageSlice/LASC_002_03_1.npy');
    expect(message).toMatch(
      /\nTraining stopped after iteration [1-8], which work\/checkpoints\/last\.pth holds: mend this/,
    );
    expect(ended.code).toBe(1);
    writeFileSync(file, good);
    const mended = await place.train('--config', config, '--resume');
    expect(mended.code, mended.stderr).toBe(0);
    expect(place.metrics().filter(({ kind }) => kind === 'train')).toHaveLength(9);
  });

  it.each([
    ['of another size', [64, 60], 1, 'a mask of 64 x 64 pixels', 'but received 64 x 60. Make the mask again'],
    ['with a class too many', [64, 64], 4, 'class numbers 0 to 1, or 255 to ignore', 'but received 4'],
  ] as const)('a mask %s is named by the first validation', async (_, shape, value, expected, received) => {
    place.phantom();
    const data = new Uint8Array(shape[0] * shape[1]).fill(value);
    writeNpy(place.path('data/masks/LASC_000_02_1.npy'), { dtype: 'uint8', shape: [...shape], data });
    const ended = await place.train('--config', place.config());
    const message = errorOf(ended);
    for (const part of [expected, 'data/masks/LASC_000_02_1.npy', received, 'after iteration 4'])
      expect(message).toContain(part);
    expect(ended.code).toBe(1);
    expect(place.files('work', 'checkpoints')).toEqual(['last.pth', 'wetr_iter_4.pth']);
  });
});

describe('configuration and flags', () => {
  it('a crop below 64', async () => {
    await refusedWith(
      { 'dataset.crop_size': 63 },
      /tiny\.yaml:\d+: Expected an integer of at least 64 .* number 63/,
    );
    const flag = /--crop_size: Expected an integer of at least 64 .* number 32/;
    await refused(['--config', place.config(), '--crop_size', '32'], flag);
  });

  it('a dataset or flag that does not exist', async () => {
    await refused(['--dataset', 'lascc'], /lasc/, "Did you mean 'lasc'?");
    await refusedWith({ 'dataset.name': 'heart' }, /tiny\.yaml:\d+: /, "'heart'", /lasc, brats.* or voc/);
    await refused(
      ['--config', place.config(), '--crop_sizes', '64'],
      "'--crop_sizes'",
      'Did you mean --crop_size?',
    );
    await refused([], 'Expected --config FILE or --dataset NAME but received neither');
  });

  it('several faults at once, each at its line', async () => {
    const message = await refused(
      [
        '--config',
        place.config({ 'train.max_iters': -1, 'train.max_iter': 5, 'cam.high_thre': 'high' }),
        '--radius',
        '0',
      ],
      'The configuration has 4 faults:',
      /tiny\.yaml:\d+: Expected an integer of at least 1 for train\.max_iters but received number -1/,
      /tiny\.yaml:\d+: Expected a known key in train but received 'max_iter'. Did you mean 'max_iters'\?/,
      /tiny\.yaml:\d+: Expected a number from 0 to 1 for cam\.high_thre but received string 'high'/,
      /--radius: Expected an integer of at least 1 for train\.radius but received number 0/,
    );
    expect(message.trimEnd().split('\n')).toHaveLength(5);
  });

  it('a configuration file that is missing, is a folder, or is no YAML', async () => {
    await refused(['--config', 'none.yaml'], "cannot read 'none.yaml': there is no such file");
    mkdirSync(place.path('folder.yaml'));
    await refused(['--config', 'folder.yaml'], "cannot read 'folder.yaml': it is a folder");
    writeFileSync(place.path('bad.yaml'), 'train:\n  max_iters: [1\n');
    await refused(['--config', 'bad.yaml'], /bad\.yaml:\d+: Expected valid YAML/);
  });

  it.skipIf(deviceAvailable('cuda'))('--cuda where there is none says why', async () => {
    place.phantom();
    await refused(['--config', place.config(), '--cuda'], /Expected device 'cuda' but .+\..*--cpu/);
    await refused(
      ['--config', place.config(), '--cpu', '--cuda'],
      /--cpu.*cannot be used with.*--cuda|--cuda.*--cpu/,
    );
  });

  it.skipIf(deviceAvailable('mps'))('--mps where there is none says why', async () => {
    place.phantom();
    await refused(['--config', place.config(), '--mps'], /Expected device 'mps' but .+\..*--cpu/);
  });
});

type Weights = Map<string, RawTensor>;

describe('pretrained weights', () => {
  /** Past the checks of data: the work directory is there, but holds no checkpoint. */
  async function stopped(settings: Record<string, unknown>, ...parts: (string | RegExp)[]) {
    place.phantom({ overwrite: true });
    const ended = await place.train(
      '--config',
      place.config({ 'backbone.pretrained': 'required', ...settings }),
    );
    const message = errorOf(ended);
    for (const part of parts) expect(message).toMatch(part);
    expect(ended.code, message).toBe(2);
    expect(place.files('work').filter((name) => !name.endsWith('.log'))).toEqual([]);
  }

  /** An official file's form: the encoder's names without a prefix. Norms that no fresh model has. */
  function writeEncoder(backbone: string, file: string) {
    const model = new WeTr({ backbone, numClasses: 2 });
    const encoder = [...model.stateDict()].filter(([name]) => name.startsWith('encoder.'));
    model.dispose();
    const weights = new Map(encoder.map(([name, tensor]) => [name.slice('encoder.'.length), tensor]));
    for (const [name, { data }] of weights)
      if (name.includes('norm'))
        new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4).fill(0.75);
    writeCheckpoint(place.path(file), weights);
    return weights;
  }

  it('required and missing', async () => {
    place.phantom();
    const ended = await place.train('--config', place.config({ 'backbone.pretrained': 'required' }));
    expect(errorOf(ended)).toContain(
      "backbone.pretrained is 'required' but there are no ImageNet weights for mit_b0: looked for " +
        'pretrained/mit_b0.pth, pretrained/mit_b0.safetensors, pretrained/mit_b0.bin. Get them with\n' +
        '  npm run download-pretrained -- mit_b0\n',
    );
    expect(ended.code).toBe(2);
    expect(existsSync(place.path('work'))).toBe(false);
  });

  it('missing without being required: a warning, and random weights', async () => {
    place.phantom();
    const settings = { 'backbone.pretrained': undefined, 'train.max_iters': 2, 'val.cam': false };
    const { code, stderr } = await place.train('--config', place.config(settings));
    expect(code).toBe(0);
    expect(stderr).toMatch(
      / - WARNING: there are no ImageNet weights for mit_b0: looked for pretrained\/mit_b0\.pth/,
    );
    expect(stderr).toContain('\n  npm run download-pretrained -- mit_b0\n');
    const silent = await place.train(
      '--config',
      place.config({ ...settings, 'backbone.pretrained': 'none' }),
    );
    expect(silent.stderr).not.toMatch(/ImageNet|download-pretrained/);
  });

  it('damaged, of another kind, or of another backbone', async () => {
    for (const name of ['bad_truncated.pth', 'nested.pth']) {
      copyFileSync(fixture(name), place.path(name));
      await stopped({ 'backbone.pretrained_path': name }, /^Error: .*[Ee]xpected/, name);
    }
    writeEncoder('mit_b1', 'b1.pth');
    const shapes =
      /of another shape \(\d+\):\n\s+encoder\.patch_embed1\.proj\.weight: expected \[32, 3, 7, 7\] but received \[64/;
    await stopped({ 'backbone.pretrained_path': 'b1.pth' }, 'b1.pth does not fit this model', shapes);
    const weights = writeEncoder('mit_b0', 'odd.pth');
    weights.set('block1.0.extra', weights.get('norm4.bias')!);
    weights.delete('norm4.bias');
    writeCheckpoint(place.path('odd.pth'), weights);
    await stopped(
      { 'backbone.pretrained_path': 'odd.pth' },
      /missing \(1\):\n\s+encoder\.norm4\.bias\n\s+unexpected \(1\):\n\s+encoder\.block1\.0\.extra/,
    );
  });

  it.each([
    ['an official file', 'b0.pth', (weights: Weights) => writeCheckpoint(place.path('b0.pth'), weights)],
    [
      'nested in a checkpoint',
      'b0.pth',
      (weights: Weights) =>
        writeCheckpoint(
          place.path('b0.pth'),
          new Map<string, CheckpointValue>([
            ['state_dict', weights],
            ['epoch', 300],
          ]),
        ),
    ],
    [
      'the hub’s form of the same name',
      'b0.safetensors',
      (weights: Weights) => {
        rmSync(place.path('b0.pth'));
        writeSafetensors(place.path('b0.safetensors'), weights);
      },
    ],
  ])('that fit are where the encoder starts: %s', async (_, file, write) => {
    place.phantom();
    const weights = writeEncoder('mit_b0', 'b0.pth');
    write(weights);
    const settings = {
      'backbone.pretrained': 'required',
      'backbone.pretrained_path': 'b0.pth',
      'train.max_iters': 2,
    };
    const { code, stderr } = await place.train('--config', place.config(settings));
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`Encoder starts from ImageNet weights: ${file}`);
    const trained = readStateDict(place.path('work/checkpoints/wetr_iter_2.pth'));
    // Norms are frozen: after training they are the file's to the bit.
    const norms = [...weights.keys()].filter((name) => name.includes('norm'));
    expect(norms.length).toBeGreaterThan(20);
    const moved = norms.filter(
      (name) => Buffer.compare(weights.get(name)!.data, trained.get(`encoder.${name}`)!.data) !== 0,
    );
    expect(moved).toEqual([]);
  });
});

describe('a work directory that cannot be written', () => {
  const unwritable = async (dir: string, ...parts: string[]) => {
    place.phantom({ overwrite: true });
    const ended = await place.train('--config', place.config({ 'work_dir.dir': dir }));
    const message = errorOf(ended);
    expect(ended.code, message).toBe(2);
    for (const part of [...parts, 'Choose another with --work_dir']) expect(message).toContain(part);
  };

  it('for a file in its place or on the way, or for want of permission', async () => {
    writeFileSync(place.path('file'), 'mine');
    await unwritable('file', 'Expected a folder that can be written for file but file is a file');
    await unwritable('file/below', 'for file/below but file is a file');
    await unwritable('/proc/medical-afa', 'for /proc/medical-afa but /proc refused it');
    expect(place.read('file').toString()).toBe('mine');
    mkdirSync(place.path('half'));
    writeFileSync(place.path('half/checkpoints'), 'mine');
    await unwritable('half', 'for half/checkpoints but half/checkpoints is a file');
    expect(place.files('half')).toEqual(['checkpoints']);
  });
});
