/** Sizes of image files from their headers alone. */

import sharp from 'sharp';

/** Height and width as stored; an orientation tag is not applied, as masks have the stored pixels' shape. */
export interface ImageSize {
  height: number;
  width: number;
}

/** @throws Error in the decoder's words when the file is no image */
export async function readImageSize(path: string): Promise<ImageSize> {
  const { height, width } = await sharp(path).metadata();
  return { height, width };
}

/** Files looked at together: the disk and libvips' own threads stay busy, and memory stays small. */
const TOGETHER = 8;

/** Runs `work` on all items, a few at a time; stops at the first that throws. */
export async function forEachTogether<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const walk = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      try {
        await work(items[index]!, index);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(TOGETHER, items.length) }, walk));
}
