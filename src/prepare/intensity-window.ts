/** Maps intensities to 8 bits: a window's lower end becomes 0, its upper end 255. */

import { expected, UsageError } from '../config/errors.js';

/** The ends as intensities, or as percentiles of a volume's non-zero voxels. */
export interface WindowRule {
  kind: 'intensity' | 'percentile';
  low: number;
  high: number;
}

/** A resolved window in the volume's own intensities, low < high. */
export type IntensityWindow = readonly [low: number, high: number];

/** Reads "p1,p99" (percentiles) or "-100,400" (intensities). */
export function parseWindow(text: string): WindowRule {
  const parts = text.split(',').map((part) => part.trim());
  const percentile = parts.length === 2 && parts.every((part) => part.startsWith('p'));
  const [low = Number.NaN, high = Number.NaN] = parts.map((part) =>
    number(percentile ? part.slice(1) : part),
  );
  const inRange = !percentile || (low >= 0 && high <= 100);
  if (parts.length !== 2 || !(low < high) || !inRange) {
    throw new UsageError(
      `${expected("two percentiles as in 'p1,p99' or two intensities as in '-100,400', lower first,", '--window', text)}.`,
    );
  }
  return { kind: percentile ? 'percentile' : 'intensity', low, high };
}

/** Bright artefacts and the noise of air do not stretch the window. */
export const DEFAULT_WINDOW: WindowRule = { kind: 'percentile', low: 1, high: 99 };

/** The window as the flag takes it. */
export const windowText = ({ kind, low, high }: WindowRule): string =>
  kind === 'percentile' ? `p${low},p${high}` : `${low},${high}`;

const number = (text: string): number => (text === '' ? Number.NaN : Number(text));

/**
 * The window of one volume. Percentiles are over its voxels that are neither zero nor NaN, as zero is the air
 * around a skull-stripped brain; each is the smallest voxel with at least that share at or below it.
 *
 * @param source the volume's file, for messages
 * @throws UsageError when the volume has no contrast to window
 */
export function resolveWindow(values: Float32Array, rule: WindowRule, source: string): IntensityWindow {
  if (rule.kind === 'intensity') return [rule.low, rule.high];
  const order = new OrderStatistics(values);
  if (order.count === 0) {
    throw new UsageError(`Expected an image for ${source} but received a volume of zeros.`);
  }
  const [low, high] = [order.percentile(rule.low), order.percentile(rule.high)];
  if (!(low < high)) {
    throw new UsageError(
      `Expected varying intensities for ${source} but received percentiles ${rule.low} and ${rule.high} both ` +
        `at ${low}. Give the window as intensities: --window low,high.`,
    );
  }
  return [low, high];
}

/** 8-bit values of `values`, rounded; beyond the window they saturate, and NaN becomes 0. */
export function applyWindow(values: Float32Array, [low, high]: IntensityWindow, out: Uint8Array): void {
  const scale = 255 / (high - low);
  for (let i = 0; i < values.length; i++) {
    const level = (values[i]! - low) * scale;
    out[i] = level > 0 ? Math.min(255, Math.round(level)) : 0;
  }
}

/**
 * Exact percentiles of tens of millions of floats without sorting or copying them: two counting passes over
 * the 16 upper, then the 16 lower bits of keys that order as the floats do.
 */
class OrderStatistics {
  readonly count: number;
  readonly #values: Float32Array;
  readonly #bits: Uint32Array;
  readonly #upper = new Uint32Array(1 << 16);

  constructor(values: Float32Array) {
    this.#values = values;
    this.#bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    let count = 0;
    this.#each((key) => {
      this.#upper[key >>> 16]!++;
      count++;
    });
    this.count = count;
  }

  percentile(percent: number): number {
    let rank = Math.max(0, Math.ceil((percent / 100) * this.count) - 1);
    const find = (counts: Uint32Array): number => {
      let bin = 0;
      while (rank >= counts[bin]!) rank -= counts[bin++]!;
      return bin;
    };
    const upper = find(this.#upper);
    const lowerCounts = new Uint32Array(1 << 16);
    this.#each((key) => {
      if (key >>> 16 === upper) lowerCounts[key & 0xffff]!++;
    });
    const key = ((upper << 16) | find(lowerCounts)) >>> 0;
    const bits = key & 0x80000000 ? key ^ 0x80000000 : ~key;
    return new Float32Array(Uint32Array.of(bits).buffer)[0]!;
  }

  /** Visits the keys of all voxels that count. */
  #each(visit: (key: number) => void): void {
    for (let i = 0; i < this.#values.length; i++) {
      const value = this.#values[i]!;
      if (value === 0 || Number.isNaN(value)) continue;
      const bits = this.#bits[i]!;
      // Negative floats order backwards by their bits: all flipped; positive ones only move above them.
      visit((bits & 0x80000000 ? ~bits : bits | 0x80000000) >>> 0);
    }
  }
}
