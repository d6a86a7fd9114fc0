/** Weights against class imbalance. */
import type { Config } from '../config/schema.js';

/**
 * Factors on the classification loss of positive labels, one for each class.
 * @param setting one factor for all, or `balanced`: negatives over positives of each class, so that both kinds
 *   weigh alike. A class without positives, or without negatives, keeps 1.
 * @returns undefined when every factor is 1
 */
export function positiveWeights(
  setting: Config['train']['positive_weight'],
  labels: readonly Uint8Array[],
  classes: number,
): Float32Array | undefined {
  const weights = Float32Array.from({ length: classes }, (_, c) => {
    if (setting !== 'balanced') return setting;
    const positives = labels.reduce((count, label) => count + label[c]!, 0);
    const negatives = labels.length - positives;
    return positives === 0 || negatives === 0 ? 1 : negatives / positives;
  });
  return weights.every((weight) => weight === 1) ? undefined : weights;
}
