import type { Ranking } from './ranking.js';

/** Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), use 15 bins. */
export const CALIBRATION_BINS = 15;

/**
 * The bin of a probability among equal ones of [0, 1], closed on the right: (0, 1/n] is 0 and holds 0 as well.
 * As scikit-learn's `calibration_curve` with `strategy="uniform"`.
 */
export function calibrationBin(probability: number, bins: number): number {
  // numpy's linspace multiplies by the step: an edge computed otherwise may differ by one unit in the last place.
  const step = 1 / bins;
  let bin = Math.min(bins - 1, Math.max(0, Math.ceil(probability * bins) - 1));
  while (bin > 0 && probability <= bin * step) bin--;
  while (bin < bins - 1 && probability > (bin + 1) * step) bin++;
  return bin;
}

/** One bar of a reliability plot; empty bins are left out. */
export interface ReliabilityBin {
  /** Probabilities in (low, high]; the first bin holds 0 too. */
  low: number;
  high: number;
  samples: number;
  /** Mean predicted probability, x of the plot. */
  predicted: number;
  /** Share of positives, y of the plot. */
  observed: number;
}

/** Bins of a reliability plot from ranked probabilities; the lowest bin is first. */
export function reliabilityBins(
  ranking: Ranking,
  labels: ArrayLike<number>,
  bins = CALIBRATION_BINS,
): ReliabilityBin[] {
  const samples = new Float64Array(bins);
  const sum = new Float64Array(bins);
  const positives = new Float64Array(bins);
  for (let g = 0, i = 0; g < ranking.ends.length; g++) {
    const bin = calibrationBin(ranking.values[g]!, bins);
    for (; i < ranking.ends[g]!; i++) {
      samples[bin]!++;
      sum[bin]! += ranking.values[g]!;
      if (labels[ranking.order[i]!] === 1) positives[bin]!++;
    }
  }
  return Array.from(samples, (count, b) => ({
    low: b / bins,
    high: (b + 1) / bins,
    samples: count,
    predicted: sum[b]! / count,
    observed: positives[b]! / count,
  })).filter((bin) => bin.samples > 0);
}
