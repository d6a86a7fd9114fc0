/** Decides which slices are kept and how they are labelled. */

import { expected, UsageError } from '../config/errors.js';

export const SMALL_POLICIES = ['skip', 'negative', 'positive'] as const;
/** What becomes of slices with some positive pixels, but fewer than the minimum area. */
export type SmallPolicy = (typeof SMALL_POLICIES)[number];

/** Least tissue of a negative slice: all are kept, a share of the slice, or a number of pixels. */
export type EmptyPolicy = 'keep' | 'skip' | number;

export interface SelectionRules {
  /** Least number of positive pixels of a positive slice. */
  minArea: number;
  small: SmallPolicy;
  empty: EmptyPolicy;
}

/** Share of the window above which a pixel counts as tissue, on the 0..255 scale: a tenth. */
const TISSUE_LEVEL = 26;
/** Share of a slice that must be tissue under the policy `skip`. */
const LEAST_TISSUE = 0.01;

export type Verdict = 'positive' | 'negative' | 'small' | 'empty';

/** Reads "keep", "skip" or a number of pixels. */
export function parseEmptyPolicy(text: string): EmptyPolicy {
  if (text === 'keep' || text === 'skip') return text;
  const pixels = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isInteger(pixels) || pixels < 0) {
    throw new UsageError(`${expected("'keep', 'skip' or a number of pixels", '--empty', text)}.`);
  }
  return pixels;
}

/**
 * `small` and `empty` mean that the slice is left out. Positive slices are never left out for lack of tissue.
 *
 * @param area positive pixels of the slice
 * @param image the slice's 8-bit pixels
 */
export function judgeSlice(image: Uint8Array, area: number, rules: SelectionRules): Verdict {
  if (area >= Math.max(1, rules.minArea)) return 'positive';
  if (area > 0 && rules.small !== 'negative') return rules.small === 'positive' ? 'positive' : 'small';
  let tissue = 0;
  for (let i = 0; i < image.length; i++) if (image[i]! >= TISSUE_LEVEL) tissue++;
  return tissue < leastTissue(rules.empty, image.length) ? 'empty' : 'negative';
}

function leastTissue(policy: EmptyPolicy, pixels: number): number {
  if (policy === 'keep') return 0;
  return policy === 'skip' ? LEAST_TISSUE * pixels : policy;
}
