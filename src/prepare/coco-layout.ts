/** Where the COCO dataset of training expects its parts: VOC's folders, with one subfolder for each split. */

import { lstatSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { fileAccessError } from '../io/file-error.js';
import { makeFolder } from '../io/make-folder.js';

export const COCO_SPLITS = ['train', 'val'] as const;
export type CocoSplit = (typeof COCO_SPLITS)[number];

export const imageFolder = (outDir: string, split: CocoSplit): string => join(outDir, 'JPEGImages', split);
export const maskFolder = (outDir: string, split: CocoSplit): string =>
  join(outDir, 'SegmentationClass', split);

/**
 * Makes the images of a split appear in the dataset's folder by a link: 13 GB are not copied. Nothing is done where
 * they lie there already.
 *
 * @throws UsageError when other images are there, or links cannot be made
 */
export function linkImages(images: string, outDir: string, split: CocoSplit): void {
  const link = imageFolder(outDir, split);
  try {
    makeFolder(dirname(link));
  } catch (error) {
    throw fileAccessError(error, 'write', dirname(link));
  }
  try {
    const target = realpathSync(images);
    if (statSync(link, { throwIfNoEntry: false }) !== undefined) {
      if (realpathSync(link) === target) return;
      throw new UsageError(
        `Expected ${link} to be missing, or the images of --images ${images}, but received another folder. ` +
          'Remove it, or choose another --out.',
      );
    }
    // A link to a folder that has moved.
    if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(link);
    // Junctions need no rights on Windows; elsewhere the type does not count.
    symlinkSync(target, link, 'junction');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = (fileAccessError(error, 'write', link) as Error).message;
    throw new UsageError(
      `Expected a link to ${images} at ${link} but it cannot be made: ${reason} Move the images there instead, and give ` +
        `--images ${link}.`,
      { cause: error },
    );
  }
}
