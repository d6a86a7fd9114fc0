import { auroc } from './auroc.js';
import { averagePrecision } from './average-precision.js';
import { DECISION_SCORES, type DecisionScore, decisionScores, WHY_NO_DECISION_SCORE } from './confusion.js';
import { meanOfDefined, type Reasons } from './reasons.js';

export interface ConfusionCounts {
  truePositives: number;
  falsePositives: number;
  trueNegatives: number;
  falseNegatives: number;
}

/** The names of the scores; sensitivity is recall, precision is positive predictive value. */
export const CLASSIFICATION_SCORES = [
  'auroc',
  'averagePrecision',
  'accuracy',
  'f1',
  'sensitivity',
  'specificity',
  'precision',
] as const;
export type ClassificationScoreName = (typeof CLASSIFICATION_SCORES)[number];
export type ClassificationScoreValues = Record<ClassificationScoreName, number | null>;

export interface ClassificationScores extends ClassificationScoreValues {
  samples: number;
  positives: number;
  confusion: ConfusionCounts;
  /** One sentence for each score that is null. */
  reasons: Reasons;
}

export interface MultiLabelScores {
  samples: number;
  /** Unweighted mean over the classes for which the score exists (scikit-learn's "macro"). */
  mean: ClassificationScoreValues;
  perClass: ClassificationScores[];
  reasons: Reasons;
}

/** F1, sensitivity, ... of confusion counts; null where the denominator is 0. */
export function confusionScores(
  counts: ConfusionCounts,
): Omit<ClassificationScoreValues, 'auroc' | 'averagePrecision'> {
  const { truePositives, falsePositives, trueNegatives, falseNegatives } = counts;
  const out = new Float64Array(DECISION_SCORES.length);
  decisionScores(truePositives, falsePositives, trueNegatives, falseNegatives, out);
  const score = (name: DecisionScore) => {
    const value = out[DECISION_SCORES.indexOf(name)]!;
    return Number.isNaN(value) ? null : value;
  };
  return {
    accuracy: score('accuracy'),
    f1: score('f1'),
    sensitivity: score('sensitivity'),
    specificity: score('specificity'),
    precision: score('ppv'),
  };
}

const WHY_NULL: Record<ClassificationScoreName, string> = {
  auroc: 'needs at least one positive and one negative sample',
  averagePrecision: 'there is no positive sample',
  ...WHY_NO_DECISION_SCORE,
  precision: WHY_NO_DECISION_SCORE.ppv,
};

/**
 * Streaming scores of one binary label. It keeps one score and one label per sample (exact AUROC needs
 * them all), nothing of the size of an image.
 *
 * A sample is predicted positive when `score > threshold`; 0.5 on probabilities is the original's `logit > 0`.
 */
export class BinaryAccumulator {
  readonly #scores: number[] = [];
  readonly #labels: number[] = [];

  constructor(readonly threshold = 0.5) {
    if (!Number.isFinite(threshold)) {
      throw new RangeError(`Expected a finite number for threshold but received ${threshold}`);
    }
  }

  /** @param label 0 or 1 */
  add(score: number, label: number): void {
    if (label !== 0 && label !== 1) throw new RangeError(`Expected 0 or 1 for label but received ${label}`);
    this.#scores.push(score);
    this.#labels.push(label);
  }

  /** What was added, as plain JSON: for `absorb` of another process's accumulator. */
  state(): { scores: number[]; labels: number[] } {
    return { scores: this.#scores, labels: this.#labels };
  }

  absorb({ scores, labels }: ReturnType<BinaryAccumulator['state']>): void {
    for (const [i, score] of scores.entries()) this.add(score, labels[i]!);
  }

  /** Scores of everything added so far; more may be added afterwards. */
  result(): ClassificationScores {
    const samples = this.#scores.length;
    const confusion = this.#confusion();
    const positives = confusion.truePositives + confusion.falseNegatives;
    const broken = this.#scores.reduce((count, score) => count + Number(Number.isNaN(score)), 0);
    // A NaN is neither above nor below a threshold: leaving it out would flatter a diverged model.
    if (broken > 0) {
      const why = `${broken} of ${samples} scores are NaN: the model's output is not a number`;
      const values = Object.fromEntries(CLASSIFICATION_SCORES.map((name) => [name, null]));
      const reasons = Object.fromEntries(CLASSIFICATION_SCORES.map((name) => [name, why]));
      return { samples, positives, confusion, ...(values as Record<ClassificationScoreName, null>), reasons };
    }
    const values: ClassificationScoreValues = {
      auroc: auroc(this.#scores, this.#labels),
      averagePrecision: averagePrecision(this.#scores, this.#labels),
      ...confusionScores(confusion),
    };
    const reasons: Reasons = {};
    for (const name of CLASSIFICATION_SCORES) if (values[name] === null) reasons[name] = WHY_NULL[name];
    return { samples, positives, confusion, ...values, reasons };
  }

  #confusion(): ConfusionCounts {
    const counts = { truePositives: 0, falsePositives: 0, trueNegatives: 0, falseNegatives: 0 };
    for (let i = 0; i < this.#scores.length; i++) {
      const predicted = this.#scores[i]! > this.threshold;
      if (this.#labels[i] === 1) counts[predicted ? 'truePositives' : 'falseNegatives']++;
      else counts[predicted ? 'falsePositives' : 'trueNegatives']++;
    }
    return counts;
  }
}

/** Streaming scores of several independent labels per sample: a {@link BinaryAccumulator} for each. */
export class MultiLabelAccumulator {
  readonly #classes: BinaryAccumulator[];

  /** @param numLabels labels per sample: the number of classes without background */
  constructor(numLabels: number, threshold = 0.5) {
    if (!Number.isInteger(numLabels) || numLabels < 1) {
      throw new RangeError(`Expected a positive integer for numLabels but received ${numLabels}`);
    }
    this.#classes = Array.from({ length: numLabels }, () => new BinaryAccumulator(threshold));
  }

  /** @param scores `[numLabels]` @param labels `[numLabels]`, 0 or 1 */
  add(scores: ArrayLike<number>, labels: ArrayLike<number>): void {
    const expected = this.#classes.length;
    if (scores.length !== expected || labels.length !== expected) {
      throw new RangeError(
        `Expected ${expected} scores and labels but received ${scores.length} scores and ${labels.length} labels`,
      );
    }
    this.#classes.forEach((one, c) => {
      one.add(scores[c]!, labels[c]!);
    });
  }

  /** As BinaryAccumulator's. */
  state(): ReturnType<BinaryAccumulator['state']>[] {
    return this.#classes.map((one) => one.state());
  }

  absorb(states: ReturnType<MultiLabelAccumulator['state']>): void {
    for (const [c, one] of this.#classes.entries()) one.absorb(states[c]!);
  }

  result(): MultiLabelScores {
    const perClass = this.#classes.map((one) => one.result());
    const mean = {} as ClassificationScoreValues;
    const reasons: Reasons = {};
    for (const name of CLASSIFICATION_SCORES) {
      mean[name] = meanOfDefined(perClass.map((one) => one[name]));
      if (mean[name] === null) reasons[name] = perClass[0]!.reasons[name]!;
    }
    return { samples: perClass[0]!.samples, mean, perClass, reasons };
  }
}
