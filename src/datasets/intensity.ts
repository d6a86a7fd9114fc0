/** How stored values become the 0..255 scale that the network was pretrained on. */
import type { DatasetConfig } from './dataset.js';

export type IntensityRule = DatasetConfig['intensity'];

/** Share of the non-zero pixels that `percentile` leaves below and above its window. */
const TAIL = 0.01;

/**
 * Values on the 0..255 scale, rounded to bytes.
 * `minmax` stretches each slice between its extremes; `percentile` between the 1st and 99th percentile of its non-zero
 * pixels (zero is the air around a body), so that a few bright pixels do not darken the rest; a pair of values is
 * one window for all slices, the right choice for CT. Beyond a window values saturate; a flat slice becomes 0.
 * @param rule anything but `raw`, which leaves values alone
 */
export function mapIntensity(values: ArrayLike<number>, rule: Exclude<IntensityRule, 'raw'>): Uint8Array {
  const [low, high] = windowOf(values, rule);
  const range = high > low ? high - low : Number.POSITIVE_INFINITY;
  // Clamped arrays round to the nearest byte and saturate.
  return new Uint8Array(Uint8ClampedArray.from(values, (value) => (255 * (value - low)) / range).buffer);
}

function windowOf(
  values: ArrayLike<number>,
  rule: Exclude<IntensityRule, 'raw'>,
): readonly [low: number, high: number] {
  if (typeof rule === 'object') return rule;
  if (rule === 'minmax') return extremes(values);
  const sorted = Float32Array.from(values)
    .filter((value) => value !== 0)
    .sort();
  if (sorted.length === 0) return [0, 0];
  const rank = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  return [rank(TAIL), rank(1 - TAIL)];
}

function extremes(values: ArrayLike<number>): readonly [low: number, high: number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    low = Math.min(low, values[i]!);
    high = Math.max(high, values[i]!);
  }
  return [low, high];
}
