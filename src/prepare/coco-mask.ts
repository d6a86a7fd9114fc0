/** Paints the annotations of one image. */

import { MASK_IGNORE } from '../datasets/sample.js';
import type { PixelRanges } from './coco-rle.js';

/** An annotation whose parts have been checked. */
export interface PaintedObject {
  /** Class from 1. */
  label: number;
  ranges: readonly PixelRanges[];
  /** COCO's `area`, in pixels; by it overlaps are settled. */
  area: number;
  crowd: boolean;
}

/**
 * A mask of classes, 0 where there is none. Where objects overlap, the smaller one shows, and of equal ones the earlier: so the
 * original's masks were made (alicranck/coco2voc, "smaller items first"). Crowds are outlined too roughly to be
 * scored: their pixels are ignored, but never an object's within them.
 *
 * @returns [height, width], row-major
 */
export function paintMask(objects: readonly PaintedObject[], height: number, width: number): Uint8Array {
  const columns = new Uint8Array(height * width);
  // Later ones cover earlier ones, and sorting keeps the order of equals: hence reversed.
  const order = [...objects].reverse().sort((a, b) => Number(b.crowd) - Number(a.crowd) || b.area - a.area);
  for (const { label, ranges, crowd } of order) {
    for (const part of ranges) {
      for (const [start, end] of part) columns.fill(crowd ? MASK_IGNORE : label, start, end);
    }
  }
  return toRows(columns, height, width);
}

/** Columns written at once: their cache lines stay in the cache. */
const STRIP = 16;

/** From column-major to row-major order. */
function toRows(columns: Uint8Array, height: number, width: number): Uint8Array {
  const rows = new Uint8Array(height * width);
  for (let first = 0; first < width; first += STRIP) {
    const last = Math.min(first + STRIP, width);
    for (let y = 0; y < height; y++) {
      for (let x = first; x < last; x++) rows[y * width + x] = columns[x * height + y]!;
    }
  }
  return rows;
}

/** Pixels that any of the parts covers at least; for annotations without `area`. */
export function coveredArea(ranges: readonly PixelRanges[]): number {
  return ranges.reduce((sum, part) => part.reduce((s, [start, end]) => s + end - start, sum), 0);
}
