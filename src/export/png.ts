import sharp from 'sharp';
import { type WriteOptions, writeFileAtomicAsync } from '../io/atomic.js';

/**
 * `{name}_{score}.png`, the score with three decimals: the original's names of heatmaps. That of one class of several is
 * `{name}_{score}_{class}.png`; the class keeps its letters, digits and hyphens.
 */
export function heatmapFileName(name: string, score: number, className?: string): string {
  const ending = className === undefined ? '' : `_${className.replace(/[^\p{L}\p{N}-]+/gu, '_')}`;
  return `${name}_${score.toFixed(3)}${ending}.png`;
}

/** Filters chosen by row cost as much time as the higher levels that they replace, and save two fifths of a heatmap. */
const COMPRESSION = { compressionLevel: 3, adaptiveFiltering: true };

/**
 * Encodes pixels as an 8-bit RGB PNG, on sharp's threads.
 * @param rgb `[height, width, 3]` bytes, row-major
 * @throws RangeError when the bytes do not fill height * width pixels
 */
export async function encodePng(rgb: Uint8Array, height: number, width: number): Promise<Uint8Array> {
  if (rgb.length !== 3 * height * width || rgb.length === 0) {
    throw new RangeError(
      `Expected ${3 * height * width} bytes for a ${height}x${width} RGB image but received ${rgb.length}`,
    );
  }
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .png(COMPRESSION)
    .toBuffer();
}

/**
 * Writes an RGB image as a PNG file, whole or not at all.
 * @throws RangeError as encodePng; FileAccessError when the file cannot be written
 */
export async function writePng(
  path: string,
  rgb: Uint8Array,
  height: number,
  width: number,
  options?: WriteOptions,
): Promise<void> {
  await writeFileAtomicAsync(path, await encodePng(rgb, height, width), options);
}
