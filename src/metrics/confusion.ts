/** Scores of a decision, in the order in which they are computed. */
export const DECISION_SCORES = [
  'accuracy',
  'sensitivity',
  'specificity',
  'ppv',
  'npv',
  'f1',
  'balancedAccuracy',
  'mcc',
] as const;
export type DecisionScore = (typeof DECISION_SCORES)[number];

/** Why a score of {@link DECISION_SCORES} does not exist: its denominator is 0. */
export const WHY_NO_DECISION_SCORE: Record<DecisionScore, string> = {
  accuracy: 'there is no sample',
  sensitivity: 'there is no positive sample',
  specificity: 'there is no negative sample',
  ppv: 'no sample was predicted positive',
  npv: 'no sample was predicted negative',
  f1: 'there is neither a positive label nor a positive prediction',
  balancedAccuracy: 'needs at least one positive and one negative sample',
  mcc: 'labels or predictions are all equal',
};

/**
 * Scores of a two-by-two table, NaN where the denominator is 0. Definitions are scikit-learn's `accuracy_score`,
 * `recall_score` (sensitivity; specificity is that of the negatives), `precision_score` (PPV; NPV is that of the
 * negatives), `f1_score`, `balanced_accuracy_score` and `matthews_corrcoef`; scikit-learn puts 0 for what is
 * undefined, and leaves a missing class out of balanced accuracy.
 *
 * @param out `[8]`, in the order of {@link DECISION_SCORES}
 */
export function decisionScores(tp: number, fp: number, tn: number, fn: number, out: Float64Array): void {
  const sensitivity = tp / (tp + fn);
  const specificity = tn / (tn + fp);
  out[0] = (tp + tn) / (tp + fp + tn + fn);
  out[1] = sensitivity;
  out[2] = specificity;
  out[3] = tp / (tp + fp);
  out[4] = tn / (tn + fn);
  out[5] = (2 * tp) / (2 * tp + fp + fn);
  out[6] = (sensitivity + specificity) / 2;
  // Two square roots, since the product of four counts may leave the exact integers early.
  out[7] = (tp * tn - fp * fn) / (Math.sqrt((tp + fp) * (tn + fn)) * Math.sqrt((tp + fn) * (tn + fp)));
}
