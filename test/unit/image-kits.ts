/** Miniature VOCdevkits and COCO folders for tests, with pictures made by sharp. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';

export interface Size {
  width: number;
  height: number;
}

/** A JPEG of a coloured gradient. */
export async function writeJpeg(path: string, { width, height }: Size): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const rgb = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * 7) % 256);
  await sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg()
    .toFile(path);
}

/** A grey PNG of class indices. */
export async function writeMask(path: string, { width, height }: Size, labels?: Uint8Array): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  await sharp(labels ?? new Uint8Array(width * height), { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toFile(path);
}

/** Objects as VOC writes them; a name with "!" at its end is marked difficult. */
export function annotationXml(names: readonly string[], inner = ''): string {
  const objects = names.map(
    (name) =>
      `<object><name>${name.replace('!', '')}</name><difficult>${name.endsWith('!') ? 1 : 0}</difficult>` +
      `<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>${inner}</object>`,
  );
  return `<annotation><folder>VOC2012</folder>${objects.join('')}<segmented>1</segmented></annotation>\n`;
}

export interface VocImage {
  name: string;
  objects: string[];
  split?: 'train' | 'val';
  /** Part of SegmentationClassAug only. */
  augmentedOnly?: boolean;
}

const SIZE = { width: 70, height: 66 };

/** Six images: two of train, two of val, two that only the augmented masks know. */
export const VOC_IMAGES: readonly VocImage[] = [
  { name: '2007_000032', objects: ['aeroplane', 'aeroplane', 'person'], split: 'train' },
  { name: '2007_000039', objects: ['tvmonitor', 'chair!'], split: 'train' },
  { name: '2007_000033', objects: ['dog'], split: 'val' },
  { name: '2007_000042', objects: ['train', 'person!'], split: 'val' },
  { name: '2008_000002', objects: ['bus'], augmentedOnly: true },
  { name: '2007_000027', objects: ['person'], augmentedOnly: true },
];

/** Writes VOCdevkit/VOC2012 under `folder` and returns its path. */
export async function writeVocKit(folder: string, augmented: boolean, images = VOC_IMAGES): Promise<string> {
  const root = join(folder, 'VOCdevkit', 'VOC2012');
  const lists = join(root, 'ImageSets', 'Segmentation');
  for (const part of [lists, join(root, 'Annotations'), join(root, 'SegmentationClass')])
    mkdirSync(part, { recursive: true });
  for (const { name, objects, augmentedOnly } of images) {
    await writeJpeg(join(root, 'JPEGImages', `${name}.jpg`), SIZE);
    writeFileSync(
      join(root, 'Annotations', `${name}.xml`),
      annotationXml(objects, '<part><name>head</name></part>'),
    );
    const labels = new Uint8Array(SIZE.width * SIZE.height).fill(15, 100, 900);
    if (!augmentedOnly) await writeMask(join(root, 'SegmentationClass', `${name}.png`), SIZE, labels);
    if (augmented) await writeMask(join(root, 'SegmentationClassAug', `${name}.png`), SIZE, labels);
  }
  for (const split of ['train', 'val']) {
    const names = images.filter((image) => image.split === split).map(({ name }) => `${name}\n`);
    writeFileSync(join(lists, `${split}.txt`), names.join(''));
  }
  return root;
}

export interface CocoAnnotation {
  id: number;
  image_id: number;
  category_id: number;
  segmentation: unknown;
  area?: number;
  iscrowd?: number;
}

export interface CocoJson {
  info?: object;
  images: { id: number; file_name: string; height: number; width: number }[];
  annotations: CocoAnnotation[];
  categories: { id: number; name: string }[];
}

/** A rectangle as a polygon. */
export const rectangle = (x: number, y: number, width: number, height: number): number[][] => [
  [x, y, x + width, y, x + width, y + height, x, y + height],
];

/** Three classes with gaps between their ids, out of order, as in COCO's own file. */
export const COCO_CATEGORIES = [
  { id: 44, name: 'bottle' },
  { id: 1, name: 'person' },
  { id: 18, name: 'dog' },
];

/** Four images, the last without annotations; polygons, runs, packed runs and a crowd. */
export function cocoJson(split: 'train' | 'val'): CocoJson {
  const name = (id: number) => `COCO_${split}2014_${String(id).padStart(12, '0')}.jpg`;
  const images = [30, 9, 25, 31].map((id) => ({ id, file_name: name(id), height: 66, width: 70 }));
  // Columns 0 to 9 of 66 pixels; packed by pycocotools 2.0.11.
  const columns = { size: [66, 70], counts: [0, 660, 3960] };
  const annotations = [
    { id: 1, image_id: 9, category_id: 1, segmentation: rectangle(10, 10, 40, 40), area: 1600, iscrowd: 0 },
    { id: 2, image_id: 25, category_id: 44, segmentation: columns, area: 660, iscrowd: 1 },
    { id: 3, image_id: 9, category_id: 18, segmentation: rectangle(20, 20, 10, 5), area: 50, iscrowd: 0 },
    {
      id: 4,
      image_id: 30,
      category_id: 18,
      segmentation: { size: [66, 70], counts: '0dd0hk3' },
      area: 660,
      iscrowd: 0,
    },
  ];
  return {
    info: { description: 'an "info" with [brackets]' },
    images,
    annotations,
    categories: COCO_CATEGORIES,
  };
}

/** Writes images and instances_{split}2014.json under `folder`; returns the arguments for `prepare coco`. */
export async function writeCocoKit(
  folder: string,
  split: 'train' | 'val',
  json = cocoJson(split),
): Promise<string[]> {
  const images = join(folder, `${split}2014`);
  mkdirSync(images, { recursive: true });
  for (const { file_name: file, height, width } of json.images) {
    if (/^[^/]+\.jpg$/.test(file)) await writeJpeg(join(images, file), { height, width });
  }
  const annotations = join(folder, `instances_${split}2014.json`);
  writeFileSync(annotations, JSON.stringify(json));
  return ['--images', images, '--annotations', annotations];
}
