/**
 * COCO's run-length encoding of masks: lengths of alternating runs of 0 and 1, the first of 0, down the columns of the
 * image from left to right (pixel (y, x) has position x * height + y).
 */

/** Runs as a JSON list, or packed in a string. */
export interface RleSegmentation {
  size: readonly [height: number, width: number];
  counts: readonly number[] | string;
}

/** Half-open ranges [start, end) of the pixels that are 1, in column-major positions. */
export type PixelRanges = readonly (readonly [start: number, end: number])[];

/**
 * Runs of a packed string. Each number is written in groups of five bits, lowest first, as characters from "0" (48) on;
 * bit 5 of a character says that more follow, and bit 4 of the last one is the sign. From the fourth number on it
 * is the difference to the number two before, since neighbouring columns have runs of similar length.
 *
 * @throws Error for characters outside the code, and for a string that ends within a number
 */
export function unpackCounts(text: string): number[] {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let shift = 0;
    let bits: number;
    do {
      bits = text.charCodeAt(at++) - 48;
      // NaN past the end is out of range too.
      if (!(bits >= 0 && bits < 64)) throw new Error(`RLE text that is damaged at character ${at}`);
      // Products, not shifts: damaged text may have more than 32 bits.
      value += (bits & 0x1f) * 2 ** shift;
      shift += 5;
    } while (bits & 0x20);
    if (bits & 0x10) value -= 2 ** shift;
    counts.push(counts.length > 2 ? value + counts[counts.length - 2]! : value);
  }
  return counts;
}

/**
 * @param height,width of the image
 * @throws Error when the runs are not those of a mask of that size
 */
export function rleRanges({ size, counts }: RleSegmentation, height: number, width: number): PixelRanges {
  if (size?.[0] !== height || size?.[1] !== width) {
    throw new Error(
      `RLE of size ${JSON.stringify(size)} in an image of ${height} x ${width} (height, width)`,
    );
  }
  const runs = typeof counts === 'string' ? unpackCounts(counts) : counts;
  if (!Array.isArray(runs) || !runs.every((run) => Number.isInteger(run) && run >= 0)) {
    throw new Error('RLE counts that are no run lengths');
  }
  const ranges: [number, number][] = [];
  let position = 0;
  for (const [index, run] of runs.entries()) {
    if (index % 2 === 1 && run > 0) ranges.push([position, position + run]);
    position += run;
  }
  if (position !== height * width) {
    throw new Error(`RLE counts that fill ${position} of ${height * width} pixels`);
  }
  return ranges;
}
