import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';

const folder = mkdtempSync(path.join(tmpdir(), 'config-test-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

/** Writes a YAML file of its own for one test and returns its path. */
export function yamlFile(text: string): string {
  count += 1;
  const file = path.join(folder, `case${count}.yaml`);
  writeFileSync(file, text);
  return file;
}

/** The fewest keys that make a configuration, one a line. */
export const MINIMAL = `backbone:
  config: mit_b0
dataset:
  root_dir: data/LASC/imageSlice
  num_classes: 2
train:
  samples_per_gpu: 4
  max_iters: 100
  cam_iters: 10
  eval_iters: 20
optimizer:
  learning_rate: 6e-5
`;

/** All keys of the original's medical YAML files, with their quirks: comments after values, 1e-6, "None". */
export const ORIGINAL_MEDICAL = `backbone:
  config: mit_b1
  stride: [4, 2, 2, 1]
  comments: None

dataset:
  root_dir: data/KITS/imageSlice
  slice_split: [30, 60] #[30, 60]
  num_classes: 2
  crop_size: 320
  resize_range: [512, 2048]
  rescale_range: [0.5, 2.0]
  ignore_index: 255

work_dir:
  dir: work_dir_kits
  ckpt_dir: checkpoints
  pred_dir: predictions
  segs_dir: segs
  tb_logger_dir: tb_logger

train:
  split: train
  samples_per_gpu: 128 # 4,      8
  max_iters: 20371 #    651900, 325950
  cam_iters: 500
  eval_iters: 500
  log_iters: 200
  num_workers: 8

cam:
  bkg_score: 0.45
  high_thre: 0.55
  low_thre: 0.35
  aff_thre: 0.4
  scales: [1, 0.5, 1.5]

val:
  split: val

optimizer:
  type: AdamW
  learning_rate: 6e-5
  betas: [0.9, 0.999]
  weight_decay: 0.01

scheduler:
  warmup_iter: 1500
  warmup_ratio: 1e-6
  power: 1.0`;

/** The same with what differs in the VOC and COCO files. */
export const originalNatural = (rootDir: string, classes: number): string =>
  ORIGINAL_MEDICAL.replace('data/KITS/imageSlice', rootDir)
    .replace(/slice_split.*/, 'name_list_dir: datasets/lists')
    .replace('num_classes: 2', `num_classes: ${classes}`)
    .replace(/ {2}num_workers.*\n/, '');
