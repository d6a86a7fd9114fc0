import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { type ConfigRequest, loadConfig } from '../../src/config/load.js';
import { MINIMAL, yamlFile } from './config-fixtures.js';

/** The message that a faulty configuration gives, with FILE in place of the file's path. */
function faults(text: string, more: ConfigRequest = {}): string {
  const file = yamlFile(text);
  try {
    loadConfig({ file, ...more });
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message.replaceAll(file, 'FILE');
  }
  return 'no fault';
}

const swap = (from: string, to: string): string => MINIMAL.replace(from, to);

describe('one fault gives one line', () => {
  it.each([
    [
      'mit_b0',
      'mit_b9',
      "FILE:2: Expected mit_b0, mit_b1, mit_b2, mit_b3, mit_b4 or mit_b5 for backbone.config but received string 'mit_b9'.",
    ],
    [
      'config: mit_b0',
      'config: mit_b0\n  stride: [4, 2, 2]',
      'FILE:3: Expected four positive integers, one for each stage for backbone.stride but received an array of 3 ([4, 2, 2]).',
    ],
    [
      'config: mit_b0',
      'config: mit_b0\n  stride: [4, 2, 2, 0]',
      'FILE:3: Expected an integer of at least 1 for backbone.stride[3] but received number 0.',
    ],
    [
      'num_classes: 2',
      'num_classes: 1',
      'FILE:5: Expected an integer from 2 to 255 for dataset.num_classes but received number 1.',
    ],
    [
      'num_classes: 2',
      'num_classes: 2\n  crop_size: 63',
      'FILE:6: Expected an integer of at least 64 for dataset.crop_size but received number 63.',
    ],
    [
      'num_classes: 2',
      'num_classes: 2\n  slice_split: [9, 9]',
      'FILE:6: Expected two indices [val_start, train_start] with val_start < train_start for dataset.slice_split but received an array of 2 ([9, 9]).',
    ],
    [
      'num_classes: 2',
      'num_classes: 2\n  rescale_range: [2, 0.5]',
      'FILE:6: Expected two factors [smallest, largest] above 0, in this order for dataset.rescale_range but received an array of 2 ([2, 0.5]).',
    ],
    [
      'num_classes: 2',
      'num_classes: 2\n  ignore_index: 1',
      'FILE:6: Expected a value that is no class (2 or above) for dataset.ignore_index but received number 1.',
    ],
    [
      'num_classes: 2',
      'num_class: 2',
      "FILE:5: Expected a known key in dataset but received 'num_class'. Did you mean 'num_classes'?",
    ],
    [
      'data/LASC/imageSlice',
      'data/other',
      "FILE:4: Expected dataset.name, or a dataset.root_dir with one of lasc, brats, kits, coco, voc in it, but received only the root_dir 'data/other'.",
    ],
    [
      'data/LASC/imageSlice',
      'data/VOC',
      "FILE:3: Expected the path of a folder of name lists (dataset 'voc') for dataset.name_list_dir but received nothing.",
    ],
    [
      'data/LASC/imageSlice',
      '',
      'FILE:4: Expected the path of a data folder for dataset.root_dir but received nothing.',
    ],
    [
      '  root_dir: data/LASC/imageSlice\n',
      '',
      "FILE:3: Expected the path of a data folder for dataset.root_dir but received nothing. Add it to the section 'dataset'.",
    ],
    [
      'samples_per_gpu: 4',
      'samples_per_gpu: "4"',
      "FILE:7: Expected an integer of at least 1 for train.samples_per_gpu but received string '4'.",
    ],
    [
      'samples_per_gpu: 4',
      'samples_per_gpu: 1_000',
      "FILE:7: Expected an integer of at least 1 for train.samples_per_gpu but received string '1_000'.",
    ],
    [
      'max_iters: 100',
      'max_iters: 5.5',
      'FILE:8: Expected an integer of at least 1 for train.max_iters but received number 5.5.',
    ],
    [
      'max_iters: 100',
      'max_iters: .inf',
      'FILE:8: Expected an integer of at least 1 for train.max_iters but received number Infinity.',
    ],
    [
      'cam_iters: 10',
      'cam_iters: 101',
      'FILE:9: Expected at most train.max_iters (100) for train.cam_iters but received number 101.',
    ],
    [
      'eval_iters: 20',
      'eval_iters: 20\n  seg_detach: yes',
      "FILE:11: Expected true or false for train.seg_detach but received string 'yes'.",
    ],
    [
      'eval_iters: 20',
      'eval_iters: 20\n  drop_path: 1',
      'FILE:11: Expected a number from 0 to below 1 for train.drop_path but received number 1.',
    ],
    [
      'eval_iters: 20',
      'eval_iters: 20\n  loss_weights: {cls: 1, seq: 0.1}',
      "FILE:11: Expected a known key in train.loss_weights but received 'seq'. Did you mean 'seg'?",
    ],
    [
      'eval_iters: 20',
      'eval_iters: 20\n  max_itres: 3',
      "FILE:11: Expected a known key in train but received 'max_itres'. Did you mean 'max_iters'?",
    ],
    [
      'eval_iters: 20',
      'eval_iters: 20\n  learning_rate: 3',
      "FILE:11: Expected a known key in train but received 'learning_rate'. Did you mean 'optimizer.learning_rate'?",
    ],
    [
      'optimizer:',
      'cam: {low_thre: 0.6}\noptimizer:',
      'FILE:11: Expected at most cam.high_thre (0.55) for cam.low_thre but received number 0.6.',
    ],
    [
      'optimizer:',
      'cam: {share_scale_1: true, scales: [1, 0.5]}\noptimizer:',
      'FILE:11: Expected a scale above 1 in cam.scales, which affinity is then read from for cam.share_scale_1 but received boolean true.',
    ],
    [
      'eval_iters: 20',
      'eval_iters: 20\n  accumulate: 2\ncam: {share_scale_1: true}',
      'FILE:12: Expected false with train.accumulate above 1 for cam.share_scale_1 but received boolean true.',
    ],
    [
      'optimizer:',
      'cam:\n  scales:\n    - 1\n    - -0.5\noptimizer:',
      'FILE:14: Expected a number above 0 for cam.scales[1] but received number -0.5.',
    ],
    [
      'optimizer:',
      'cam: {scales: []}\noptimizer:',
      'FILE:11: Expected a list of factors above 0 for cam.scales but received an array of 0.',
    ],
    [
      'optimizer:',
      'cam: {scales: [1, 0.05]}\noptimizer:',
      'FILE:11: Expected scales that leave 29 pixels or more (7 x backbone.stride[0] + 1) of dataset.crop_size 320 for cam.scales but received number 0.05.',
    ],
    [
      'optimizer:',
      'cam: 5\noptimizer:',
      'FILE:11: Expected a section of keys for cam but received number 5.',
    ],
    [
      'optimizer:',
      'qqq: 5\noptimizer:',
      "FILE:11: Expected a known key at the top level but received 'qqq'. Known are backbone, dataset, work_dir, train, cam, val, test, optimizer, scheduler.",
    ],
    [
      'learning_rate: 6e-5',
      'learning_rate: 0',
      'FILE:12: Expected a number above 0 for optimizer.learning_rate but received number 0.',
    ],
    [
      'learning_rate: 6e-5',
      'learning_rate: 6e-5\n  type: SGD',
      "FILE:13: Expected AdamW for optimizer.type but received string 'SGD'.",
    ],
    [
      'learning_rate: 6e-5',
      'learning_rate: 6e-5\n  betas: [0.9, 1]',
      'FILE:13: Expected a number from 0 to below 1 for optimizer.betas[1] but received number 1.',
    ],
    [
      'learning_rate: 6e-5',
      'learning_rate: 1\n  learning_rate: 2',
      'FILE:13: Expected valid YAML but found: duplicated mapping key.',
    ],
    [
      'learning_rate: 6e-5',
      'learning_rate: [1',
      'FILE:13: Expected valid YAML but found: unexpected end of the stream within a flow collection.',
    ],
  ])('%j as %j', (from, to, message) => {
    expect(faults(swap(from, to))).toBe(message);
  });

  it.each([
    ['', 'nothing'],
    ['- a\n', "an array of 1 (['a'])"],
    ['hello\n', "string 'hello'"],
  ])('a file with %j only', (text, received) => {
    expect(faults(text)).toBe(
      `FILE: Expected sections such as dataset: and train: for FILE but received ${received}.`,
    );
  });

  it('__proto__ is a key like any other, and unknown', () => {
    expect(faults(`${MINIMAL}__proto__:\n  radius: 1\n`)).toContain("received '__proto__'");
    expect(faults(MINIMAL, { set: ['__proto__.polluted=1'] })).toContain('Expected a known key in __proto__');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe('a flag is named instead of a line', () => {
  const radius = (value: unknown) => [{ key: 'train.radius', flag: '--radius', value }];

  it.each<[ConfigRequest, string]>([
    [
      { flags: radius('x') },
      "--radius: Expected an integer of at least 1 for train.radius but received string 'x'.",
    ],
    [
      { set: ['train.radius=x'] },
      "--set train.radius=x: Expected an integer of at least 1 for train.radius but received string 'x'.",
    ],
    [
      { set: ['train.radius='] },
      '--set train.radius=: Expected an integer of at least 1 for train.radius but received nothing.',
    ],
    [
      { set: ['train.radius=['] },
      '--set train.radius=[: Expected a YAML value for train.radius but found: unexpected end of the stream within a flow collection.',
    ],
    [
      { set: ['train.radios=3'] },
      "--set train.radios=3: Expected a known key in train but received 'radios'. Did you mean 'radius'?",
    ],
    [
      { set: ['radius=3'] },
      "--set radius=3: Expected a known key at the top level but received 'radius'. Did you mean 'train.radius'?",
    ],
    [
      { set: ['trian.radius=3'] },
      "--set trian.radius=3: Expected a known key in trian but received 'radius'. Did you mean 'train.radius'?",
    ],
    [{ set: ['train.radius'] }, "--set: Expected key=value for --set but received string 'train.radius'."],
    [
      { set: ['val={split: test}'] },
      "--set val={split: test}: Expected a single key but received the section 'val' (val.split, val.batch_size, val.cam, val.aff, val.patient_top_k, val.negative_maps).",
    ],
    [
      { flags: radius(3), set: ['train.radius=4'] },
      '--set train.radius=4: Expected one source for train.radius but received both --radius and --set.',
    ],
    [
      { set: ['train.max_iters=5'] },
      '--set train.max_iters=5: Expected at most train.max_iters (5) for train.cam_iters but received number 10.',
    ],
    [
      { dataset: 'lacs', datasets: ['lasc', 'brats'] },
      "--dataset: Expected lasc or brats for dataset.name but received string 'lacs'. Did you mean 'lasc'?",
    ],
    [
      { datasets: ['brats'] },
      "FILE:4: Expected brats for dataset.name but received string 'lasc'. A dataset of your own: --dataset ./FILE.js.",
    ],
  ])('%j', (request, message) => {
    expect(faults(MINIMAL, request)).toBe(message);
  });
});

it('all faults come together, the file by line and then the flags', () => {
  const text = `backbone:
  config: mit_b0
dataset:
  root_dir: data/LASC/imageSlice
  max_iters: 3
train:
  samples_per_gpu: 0
  max_iters: x
  cam_iters: 50
  radius:
optimizer: 3
`;
  const flags = [{ key: 'dataset.crop_size', flag: '--crop_size', value: 3 }];
  expect(faults(text, { flags, set: ['cam.mode=test'] })).toBe(`The configuration has 9 faults:
  FILE:3: Expected an integer from 2 to 255 for dataset.num_classes but received nothing. Add it to the section 'dataset'.
  FILE:5: Expected a known key in dataset but received 'max_iters'. Did you mean 'train.max_iters'?
  FILE:6: Expected an integer of at least 1 for train.eval_iters but received nothing. Add it to the section 'train'.
  FILE:7: Expected an integer of at least 1 for train.samples_per_gpu but received number 0.
  FILE:8: Expected an integer of at least 1 for train.max_iters but received string 'x'.
  FILE:10: Expected an integer of at least 1 for train.radius but received nothing.
  FILE:11: Expected a section of keys for optimizer but received number 3.
  --crop_size: Expected an integer of at least 64 for dataset.crop_size but received number 3.
  --set cam.mode=test: Expected eval or train for cam.mode but received string 'test'.`);
});

it('faults of flags come beside a syntax error', () => {
  expect(faults('a: [', { set: ['train.radius=0'] })).toBe(`The configuration has 2 faults:
  FILE:2: Expected valid YAML but found: unexpected end of the stream within a flow collection.
  --set train.radius=0: Expected an integer of at least 1 for train.radius but received number 0.`);
});

it('a misspelt section is one fault, not one for each key that is then missing', () => {
  expect(faults(swap('train:', 'trian:'))).toBe(
    "FILE:6: Expected a known key at the top level but received 'trian'. Did you mean 'train'?",
  );
});
