/** What an annotation's `segmentation` holds: polygons, or runs as a list or packed. */

import { polygonRanges } from './coco-polygon.js';
import { type PixelRanges, type RleSegmentation, rleRanges } from './coco-rle.js';

/** Corners of the smallest polygon, as numbers. */
const LEAST_NUMBERS = 6;
/** Outlines are walked step by step: one corner at 1e300 would never be reached. */
const FARTHEST = 1e6;

/**
 * Pixels of a sound segmentation in an image; those of several polygons overlap where the polygons do.
 * @throws Error as `checkSegmentation` for runs
 */
export function segmentationRanges(segmentation: unknown, height: number, width: number): PixelRanges[] {
  if (!Array.isArray(segmentation)) return [rleRanges(segmentation as RleSegmentation, height, width)];
  return segmentation.map((polygon) => polygonRanges(polygon as number[], height, width));
}

/** @throws Error that says what is wrong with a segmentation of an image of that size */
export function checkSegmentation(segmentation: unknown, height: number, width: number): void {
  if (Array.isArray(segmentation)) {
    if (segmentation.length === 0) throw new Error('no polygon');
    for (const polygon of segmentation) checkPolygon(polygon);
    return;
  }
  const counts = (segmentation as Partial<RleSegmentation> | null | undefined)?.counts;
  if (typeof counts !== 'string' && !Array.isArray(counts))
    throw new Error('neither polygons nor RLE counts');
  rleRanges(segmentation as RleSegmentation, height, width);
}

function checkPolygon(polygon: unknown): void {
  if (!Array.isArray(polygon) || !polygon.every((value) => Number.isFinite(value))) {
    throw new Error('a polygon that is no list of numbers');
  }
  const far = polygon.find((value) => Math.abs(value) > FARTHEST);
  if (far !== undefined) throw new Error(`a polygon with a corner at ${far}`);
  if (polygon.length % 2 !== 0) throw new Error(`a polygon of ${polygon.length} numbers, an odd count`);
  if (polygon.length < LEAST_NUMBERS) {
    throw new Error(`a polygon of ${polygon.length} numbers, fewer than ${LEAST_NUMBERS}`);
  }
}
