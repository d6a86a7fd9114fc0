/** Writes the masks of a split's images, reading each image's annotations from the file again. */

import { readdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { writeFileAtomicAsync } from '../io/atomic.js';
import type { CocoImage } from './coco-index.js';
import { coveredArea, type PaintedObject, paintMask } from './coco-mask.js';
import { segmentationRanges } from './coco-segmentation.js';
import { forEachTogether } from './image-sizes.js';
import { parseElement } from './json-sections.js';

export interface MaskOptions {
  /** Write masks anew that are there. */
  overwrite: boolean;
  stopWhen?: () => boolean;
  onMask?: (done: number) => void;
}

/** @param classOf class from 1 by category id */
export async function writeMasks(
  path: string,
  images: readonly CocoImage[],
  classOf: ReadonlyMap<number, number>,
  folder: string,
  { overwrite, stopWhen, onMask }: MaskOptions,
): Promise<{ written: number; kept: number; stopped: boolean }> {
  const present = new Set(overwrite ? [] : readdirSync(folder));
  const missing = images.filter(({ name }) => !present.has(`${name}.png`));
  const kept = images.length - missing.length;
  let written = 0;
  let stopped = false;
  const file = await open(path, 'r');
  try {
    await forEachTogether(missing, async (image) => {
      stopped ||= stopWhen?.() === true;
      if (stopped) return;
      const objects = await readObjects(path, file, image, classOf);
      const mask = paintMask(objects, image.height, image.width);
      await writeFileAtomicAsync(join(folder, `${image.name}.png`), await encodeGrey(mask, image));
      onMask?.(kept + ++written);
    });
  } finally {
    await file.close();
  }
  return { written, kept, stopped };
}

/** A grey PNG, as `encodeLabelPng` makes it but on sharp's threads: in a fourth of the time, for 120,000 images. */
const encodeGrey = (mask: Uint8Array, { height, width }: CocoImage): Promise<Uint8Array> =>
  sharp(mask, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();

async function readObjects(
  path: string,
  file: FileHandle,
  { places, height, width }: CocoImage,
  classOf: ReadonlyMap<number, number>,
): Promise<PaintedObject[]> {
  const objects: PaintedObject[] = [];
  for (let i = 0; i < places.length; i += 2) {
    const [offset, length] = [places[i]!, places[i + 1]!];
    const bytes = Buffer.alloc(length);
    await file.read(bytes, 0, length, offset);
    const value = parseElement(path, bytes, offset);
    const ranges = segmentationRanges(value.segmentation, height, width);
    objects.push({
      label: classOf.get(value.category_id as number)!,
      ranges,
      area: Number.isFinite(value.area) ? (value.area as number) : coveredArea(ranges),
      crowd: value.iscrowd === 1 || value.iscrowd === true,
    });
  }
  return objects;
}
