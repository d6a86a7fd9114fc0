/** Reads one split of COCO, and looks at its images, before anything is written. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileAccessError } from '../io/file-error.js';
import { type CocoImage, type CocoIndex, indexCocoFile } from './coco-index.js';
import type { CocoSplit } from './coco-layout.js';
import type { Faults } from './faults.js';
import { forEachTogether, readImageSize } from './image-sizes.js';

/** Images and annotations of one split. */
export interface CocoSource {
  split: CocoSplit;
  /** Folder of `{name}.jpg`. */
  images: string;
  /** `instances_*.json` */
  annotations: string;
}

/** Called often; `done` and `total` are in the stage's own unit. */
export type ReportProgress = (stage: string, done: number, total: number) => void;

/** Reads the annotations of a split and looks at its images. Images that cannot be used lose their annotations. */
export async function readSource(
  { split, images: folder, annotations }: CocoSource,
  faults: Faults,
  onProgress?: ReportProgress,
): Promise<CocoIndex> {
  const files = listImages(folder);
  const index = await indexCocoFile(annotations, faults, (done, total) =>
    onProgress?.(`Reading ${split} annotations (MB)`, Math.ceil(done / 1e6), Math.ceil(total / 1e6)),
  );
  const annotated = index.images.filter(({ present }) => present.size > 0);
  let done = 0;
  await forEachTogether(annotated, async (image) => {
    if (!(await isUsable(folder, image, files, faults))) image.present.clear();
    onProgress?.(`Checking ${split} images`, ++done, annotated.length);
  });
  return index;
}

function listImages(folder: string): Set<string> {
  try {
    return new Set(readdirSync(folder));
  } catch (error) {
    throw fileAccessError(error, 'read', folder);
  }
}

async function isUsable(
  folder: string,
  { name, height, width }: CocoImage,
  files: ReadonlySet<string>,
  faults: Faults,
): Promise<boolean> {
  const path = join(folder, `${name}.jpg`);
  if (!files.has(`${name}.jpg`)) {
    faults.add('missing images', path);
    return false;
  }
  try {
    const size = await readImageSize(path);
    if (size.height === height && size.width === width) return true;
    const sizes = `${size.width} x ${size.height}, not ${width} x ${height}`;
    faults.add('images of another size than annotated', `${path} is ${sizes}`);
  } catch (error) {
    faults.add('images that cannot be read', `${path} (${(error as Error).message.split('\n')[0]})`);
  }
  return false;
}
