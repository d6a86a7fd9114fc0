/**
 * Area under the ROC curve as the Mann-Whitney statistic: the probability that a positive scores higher
 * than a negative, where a tie counts one half. Equal to scikit-learn's `roc_auc_score`.
 *
 * @param scores any monotone score (probability or logit), one per sample, without NaN
 * @param labels 1 (or any non-zero number) for a positive, 0 for a negative
 * @returns a number in [0, 1], or null when positives or negatives are missing: there is no curve then
 * @throws RangeError when lengths differ or a score is NaN, which has no rank
 */
export function auroc(scores: ArrayLike<number>, labels: ArrayLike<number>): number | null {
  if (scores.length !== labels.length) {
    throw new RangeError(
      `Expected one label per score but received ${scores.length} scores and ${labels.length} labels`,
    );
  }
  const order = Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  let positives = 0;
  let rankSum = 0;
  for (let first = 0; first < order.length; ) {
    const value = scores[order[first]!]!;
    if (Number.isNaN(value))
      throw new RangeError(`Expected scores that can be ranked but received NaN at index ${order[first]}`);
    let end = first;
    let tiedPositives = 0;
    while (end < order.length && scores[order[end]!] === value) {
      if (labels[order[end]!] !== 0) tiedPositives++;
      end++;
    }
    // Tied samples share the mean of the 1-based ranks first+1 .. end: this is what counts ties one half.
    rankSum += tiedPositives * ((first + 1 + end) / 2);
    positives += tiedPositives;
    first = end;
  }
  const negatives = order.length - positives;
  if (positives === 0 || negatives === 0) return null;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}
