import { cumulativeCounts, rankScores } from './ranking.js';

/**
 * Average precision: sum of (R_n - R_n-1) P_n over falling thresholds, equal scores at one threshold (scikit-learn's
 * `average_precision_score`). Its mean over classes is mAP.
 * @param labels 0 or 1
 * @returns null without a positive
 * @throws RangeError for NaN, which has no rank, and for different lengths
 */
export function averagePrecision(scores: ArrayLike<number>, labels: ArrayLike<number>): number | null {
  if (scores.length !== labels.length) {
    throw new RangeError(
      `Expected one label per score but received ${scores.length} scores and ${labels.length} labels`,
    );
  }
  const { tp, fp } = cumulativeCounts(rankScores(scores), labels);
  const positives = tp.at(-1) ?? 0;
  if (positives === 0) return null;
  return (
    tp.reduce((sum, found, n) => sum + ((found - (tp[n - 1] ?? 0)) * found) / (found + fp[n]!), 0) / positives
  );
}
