/** Samples from the highest score to the lowest, in groups of equal scores. */
export interface Ranking {
  /** `[samples]`: indices of the samples, highest score first. */
  order: Uint32Array;
  /** `[groups]`: the score of each group, strictly falling. */
  values: Float64Array;
  /** `[groups]`: one past the last position in `order` of each group. */
  ends: Uint32Array;
}

/**
 * Sorts once what every curve and every bootstrap replicate then walks through in linear time.
 *
 * @throws RangeError for NaN, which has no rank
 */
export function rankScores(scores: ArrayLike<number>): Ranking {
  const order = new Uint32Array(scores.length);
  for (let i = 0; i < order.length; i++) {
    if (Number.isNaN(scores[i]!)) {
      throw new RangeError(`Expected scores that can be ranked but received NaN at index ${i}`);
    }
    order[i] = i;
  }
  // Comparison, not subtraction: Infinity - Infinity is NaN.
  order.sort((a, b) => (scores[a]! < scores[b]! ? 1 : scores[a]! > scores[b]! ? -1 : a - b));
  const values = new Float64Array(order.length);
  const ends = new Uint32Array(order.length);
  let groups = 0;
  for (let i = 0; i < order.length; i++) {
    const value = scores[order[i]!]!;
    if (i === 0 || value !== values[groups - 1]) values[groups++] = value;
    ends[groups - 1] = i + 1;
  }
  return { order, values: values.slice(0, groups), ends: ends.slice(0, groups) };
}

/** How many groups score above the threshold: they are predicted positive. */
export function groupsAbove(ranking: Ranking, threshold: number): number {
  let groups = 0;
  while (groups < ranking.values.length && ranking.values[groups]! > threshold) groups++;
  return groups;
}

/** Cumulative counts after each group: `tp` positives and `fp` negatives score as high or higher. */
export function cumulativeCounts(
  ranking: Ranking,
  labels: ArrayLike<number>,
): { tp: Float64Array; fp: Float64Array } {
  const groups = ranking.ends.length;
  const tp = new Float64Array(groups);
  const fp = new Float64Array(groups);
  let positives = 0;
  for (let g = 0, i = 0; g < groups; g++) {
    const end = ranking.ends[g]!;
    for (; i < end; i++) if (labels[ranking.order[i]!] === 1) positives++;
    tp[g] = positives;
    fp[g] = end - positives;
  }
  return { tp, fp };
}
