import type { WeightedScores } from './bootstrap.js';
import { CALIBRATION_BINS, calibrationBin, type ReliabilityBin, reliabilityBins } from './calibration.js';
import type { ConfusionCounts } from './classification.js';
import { DECISION_SCORES, type DecisionScore, decisionScores, WHY_NO_DECISION_SCORE } from './confusion.js';
import { type PrecisionRecallCurve, precisionRecallCurve, type RocCurve, rocCurve } from './curves.js';
import { cumulativeCounts, groupsAbove, type Ranking, rankScores } from './ranking.js';

/**
 * Scores of one label, in the order in which they are computed:
 *
 * - `auroc`: area under the ROC curve, ties one half (`roc_auc_score`)
 * - `auprc`: average precision, sum of (R_n - R_n-1) P_n over falling thresholds, not the trapezoid
 *   (`average_precision_score`)
 * - `brier`: mean of (p - y)² (`brier_score_loss`)
 * - `ece`: expected calibration error, sum over bins of n_b/n |mean p - mean y|, p the probability of the positive
 *   class and 15 equal bins of it (Guo et al., 2017)
 * - the scores of the decision `score > threshold`, see {@link decisionScores}
 */
export const BINARY_SCORES = ['auroc', 'auprc', 'brier', 'ece', ...DECISION_SCORES] as const;
export type BinaryScoreName = (typeof BINARY_SCORES)[number];

const WHY_UNDEFINED: Record<Exclude<BinaryScoreName, DecisionScore>, string> = {
  auroc: 'needs at least one positive and one negative sample',
  auprc: 'there is no positive sample',
  brier: 'there is no sample',
  ece: 'there is no sample',
};

export interface BinaryOptions {
  /** Predicted positive is `score > threshold`; 0.5 when left out. */
  threshold?: number;
  /** Says of samples of one label only why they have no scores at all, instead of scoring what can be scored. */
  whyNotOneLabel?: (label: 0 | 1) => string;
}

/**
 * All scores of one binary label as functions of the patients' weights. Samples are sorted once; each call of
 * `compute` is one walk from the highest score to the lowest.
 */
export class BinaryScores implements WeightedScores {
  readonly size = BINARY_SCORES.length;
  readonly threshold: number;
  readonly samples: number;
  readonly positives: number;
  readonly #ranking: Ranking;
  readonly #labels: ArrayLike<number>;
  /** Patient and label by rank: read in order, they stay in the cache. */
  readonly #patientAt: Uint32Array;
  readonly #positiveAt: Uint8Array;
  /** One for each group of equal scores: whether it is the last of its calibration bin. */
  readonly #endsBin: Uint8Array;
  readonly #groupsAbove: number;
  /** Why nothing can be scored. */
  readonly #broken: string | undefined;
  readonly #areProbabilities: boolean;

  /**
   * @param scores `[samples]`, probabilities; Brier score and calibration error do not exist for other numbers
   * @param labels `[samples]`, 0 or 1
   * @param patientOf `[samples]`, index of each sample's patient
   * @throws RangeError for lengths that differ or a label that is neither 0 nor 1
   */
  constructor(
    scores: ArrayLike<number>,
    labels: ArrayLike<number>,
    patientOf: ArrayLike<number>,
    options: BinaryOptions = {},
  ) {
    checkSamples(scores, labels, patientOf);
    this.threshold = options.threshold ?? 0.5;
    if (!Number.isFinite(this.threshold)) {
      throw new RangeError(`Expected a finite number for threshold but received ${this.threshold}`);
    }
    this.samples = scores.length;
    this.positives = count(labels, (label) => label === 1);
    this.#labels = labels;
    this.#broken = whyBroken(scores, this.positives, options);
    const notNumbers = count(scores, Number.isNaN);
    // A NaN has no rank. Nothing is scored then, but counts are still given.
    this.#ranking = rankScores(
      notNumbers > 0 ? Array.from(scores, (s) => (Number.isNaN(s) ? -Infinity : s)) : scores,
    );
    const { order, values } = this.#ranking;
    this.#patientAt = Uint32Array.from(order, (i) => patientOf[i]!);
    this.#positiveAt = Uint8Array.from(order, (i) => labels[i]!);
    this.#areProbabilities = count(values, (value) => !(value >= 0 && value <= 1)) === 0;
    const bins = values.map((value) => calibrationBin(value, CALIBRATION_BINS));
    this.#endsBin = Uint8Array.from(bins, (bin, g) => Number(bins[g + 1] !== bin));
    this.#groupsAbove = groupsAbove(this.#ranking, this.threshold);
  }

  compute(weights: Float64Array, out: Float64Array): void {
    if (this.#broken !== undefined) {
      out.fill(Number.NaN);
      return;
    }
    const { values, ends } = this.#ranking;
    const patientAt = this.#patientAt;
    const positiveAt = this.#positiveAt;
    const endsBin = this.#endsBin;
    let tp = 0;
    let fp = 0;
    let pairs = 0;
    let precisions = 0;
    let squares = 0;
    let gaps = 0;
    let gap = 0;
    let calledTp = 0;
    let calledFp = 0;
    for (let g = 0, i = 0; g < ends.length; g++) {
      let positive = 0;
      let negative = 0;
      for (const end = ends[g]!; i < end; i++) {
        const weight = weights[patientAt[i]!]!;
        if (positiveAt[i] === 1) positive += weight;
        else negative += weight;
      }
      // Each negative of the group loses to all positives above it and ties with those of its group.
      pairs += negative * (tp + positive / 2);
      tp += positive;
      fp += negative;
      if (positive > 0) precisions += (positive * tp) / (tp + fp);
      const p = values[g]!;
      squares += positive * (1 - p) * (1 - p) + negative * p * p;
      gap += (positive + negative) * p - positive;
      if (endsBin[g] === 1) {
        gaps += Math.abs(gap);
        gap = 0;
      }
      if (g === this.#groupsAbove - 1) {
        calledTp = tp;
        calledFp = fp;
      }
    }
    out[0] = pairs / (tp * fp);
    out[1] = precisions / tp;
    out[2] = this.#areProbabilities ? squares / (tp + fp) : Number.NaN;
    out[3] = this.#areProbabilities ? gaps / (tp + fp) : Number.NaN;
    decisionScores(calledTp, calledFp, fp - calledFp, tp - calledTp, out.subarray(4));
  }

  whyUndefined(index: number): string {
    if (this.#broken !== undefined) return this.#broken;
    const name = BINARY_SCORES[index]!;
    if ((name === 'brier' || name === 'ece') && !this.#areProbabilities) return 'scores are not all in 0..1';
    return { ...WHY_UNDEFINED, ...WHY_NO_DECISION_SCORE }[name];
  }

  confusion(): ConfusionCounts {
    const { tp, fp } = cumulativeCounts(this.#ranking, this.#labels);
    const truePositives = tp[this.#groupsAbove - 1] ?? 0;
    const falsePositives = fp[this.#groupsAbove - 1] ?? 0;
    const trueNegatives = this.samples - this.positives - falsePositives;
    return { truePositives, falsePositives, trueNegatives, falseNegatives: this.positives - truePositives };
  }

  roc(): RocCurve | null {
    return this.#broken === undefined ? rocCurve(this.#ranking, this.#labels) : null;
  }

  precisionRecall(): PrecisionRecallCurve | null {
    return this.#broken === undefined ? precisionRecallCurve(this.#ranking, this.#labels) : null;
  }

  reliability(): ReliabilityBin[] | null {
    if (this.#broken !== undefined || !this.#areProbabilities) return null;
    return reliabilityBins(this.#ranking, this.#labels);
  }
}

/** A diverged model's NaN is neither above nor below a threshold: leaving it out would flatter the model. */
function whyBroken(scores: ArrayLike<number>, positives: number, options: BinaryOptions): string | undefined {
  const notNumbers = count(scores, Number.isNaN);
  if (notNumbers > 0)
    return `${notNumbers} of ${scores.length} scores are NaN: the model's output is not a number`;
  const oneLabel = scores.length > 0 && (positives === 0 || positives === scores.length);
  return oneLabel ? options.whyNotOneLabel?.(positives === 0 ? 0 : 1) : undefined;
}

function count(values: ArrayLike<number>, test: (value: number) => boolean): number {
  let found = 0;
  for (let i = 0; i < values.length; i++) if (test(values[i]!)) found++;
  return found;
}

function checkSamples(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  patientOf: ArrayLike<number>,
): void {
  if (scores.length !== labels.length || scores.length !== patientOf.length) {
    throw new RangeError(
      `Expected one label and one patient per score but received ${scores.length} scores, ${labels.length} labels and ${patientOf.length} patients`,
    );
  }
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] !== 0 && labels[i] !== 1) {
      throw new RangeError(`Expected 0 or 1 for label but received ${labels[i]} at index ${i}`);
    }
  }
}
