/** Small sets in the layout of VOC and COCO, for tests: images of noise on squares, one colour a class. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { writeLabelPng } from '../../src/io/label-png.js';
import { writeNpyDict } from '../../src/io/npy-dict.js';
import { VOC_PALETTE } from '../../src/io/voc-palette.js';

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A new folder, removed when the test file ends. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'afa-voc-'));
  made.push(folder);
  return folder;
}

export interface Picture {
  name: string;
  /** Classes present, 1 and up. */
  classes: readonly number[];
  height?: number;
  width?: number;
}

const labelOf = (classes: readonly number[], numClasses: number) => {
  const data = Float32Array.from({ length: numClasses - 1 }, (_, i) => Number(classes.includes(i + 1)));
  return { dtype: 'float32' as const, shape: [numClasses - 1], data };
};

/** Draws a picture and its mask: a square for each class, ignored at its rim. */
export async function drawPicture(
  imagePath: string,
  maskPath: string,
  { classes, height = 72, width = 96 }: Picture,
): Promise<void> {
  const rgb = new Uint8Array(3 * height * width);
  const labels = new Uint8Array(height * width);
  for (let i = 0; i < rgb.length; i++) rgb[i] = 90 + ((i * 7919) % 31);
  const side = height >> 2;
  for (const [place, label] of classes.entries()) {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const p = (8 + y) * width + 6 + place * (side + 4) + x;
        const rim = Math.min(x, y, side - 1 - x, side - 1 - y) === 0;
        labels[p] = rim ? 255 : label;
        for (let c = 0; c < 3; c++) rgb[3 * p + c] = label % 3 === c ? 240 : 20;
      }
    }
  }
  await sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 95 })
    .toFile(imagePath);
  writeLabelPng(maskPath, labels, height, width, VOC_PALETTE);
}

export function writeLists(
  folder: string,
  lists: Readonly<Record<string, readonly Picture[]>>,
  numClasses: number,
) {
  const pictures = Object.values(lists).flat();
  mkdirSync(folder, { recursive: true });
  for (const [split, own] of Object.entries(lists))
    writeFileSync(join(folder, `${split}.txt`), own.map(({ name }) => `${name}\n`).join(''));
  const labels = pictures.map(({ name, classes }) => [name, labelOf(classes, numClasses)] as const);
  writeNpyDict(join(folder, 'cls_labels_onehot.npy'), new Map(labels));
}

/** Writes `root` as VOC2012 and `lists` beside it. */
export async function writeVoc(
  root: string,
  lists: Readonly<Record<string, readonly Picture[]>>,
  numClasses = 4,
) {
  const [images, masks] = ['JPEGImages', 'SegmentationClassAug'].map((part) => join(root, part)) as [
    string,
    string,
  ];
  for (const folder of [images, masks]) mkdirSync(folder, { recursive: true });
  for (const picture of Object.values(lists).flat())
    await drawPicture(join(images, `${picture.name}.jpg`), join(masks, `${picture.name}.png`), picture);
  writeLists(join(root, 'lists'), lists, numClasses);
}

/** The shipped configuration of `dataset` on a small set with three classes. */
export function configFor(
  dataset: 'voc' | 'coco',
  root: string,
  settings: Record<string, unknown> = {},
): Config {
  const values = {
    'dataset.root_dir': root,
    'dataset.name_list_dir': join(root, 'lists'),
    'dataset.num_classes': 4,
    'dataset.crop_size': 64,
    'train.split': 'train',
    ...settings,
  };
  const set = Object.entries(values).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return loadConfig({ dataset, set }).config;
}
