import { meanOfDefined, type Reasons } from './reasons.js';

export interface SegmentationScores {
  /** Pixels that took part. */
  pixels: number;
  /** Share of right pixels. */
  pAcc: number | null;
  /** Mean over the classes in the ground truth of the share of their pixels that is right. */
  mAcc: number | null;
  /** Mean IoU over the classes in the ground truth. */
  miou: number | null;
  /** IoU by class; null for a class in neither ground truth nor prediction. */
  iou: (number | null)[];
  reasons: Reasons;
}

/**
 * Confusion-matrix scores over all pixels of all images, as `scores` and `pseudo_scores` in the original's
 * utils/evaluate.py. Streaming: memory is numClasses squared.
 */
export class SegmentationAccumulator {
  /** `[numClasses, numClasses]`: rows are ground truth, columns predictions. */
  readonly #matrix: Float64Array;

  /** @param numClasses classes including background */
  constructor(readonly numClasses: number) {
    if (!Number.isInteger(numClasses) || numClasses < 1 || numClasses > 255) {
      throw new RangeError(`Expected an integer from 1 to 255 for numClasses but received ${numClasses}`);
    }
    this.#matrix = new Float64Array(numClasses * numClasses);
  }

  /**
   * Adds one image, `[height * width]` class indices each. Left out are pixels whose ground truth is no class
   * (255 and any value from numClasses up) and pixels predicted as 255, which pseudo labels use for "uncertain".
   *
   * @throws RangeError for different sizes, or another prediction that is no class
   */
  add(groundTruth: ArrayLike<number>, prediction: ArrayLike<number>): void {
    const n = this.numClasses;
    if (groundTruth.length !== prediction.length) {
      throw new RangeError(
        `Expected as many pixels in the prediction as in the ground truth (${groundTruth.length}) but received ${prediction.length}`,
      );
    }
    for (let i = 0; i < groundTruth.length; i++) {
      const truth = groundTruth[i]!;
      const predicted = prediction[i]!;
      if (!(truth >= 0 && truth < n) || predicted === 255) continue;
      if (!(predicted >= 0 && predicted < n)) {
        throw new RangeError(
          `Expected a class from 0 to ${n - 1} (or 255) for the prediction but received ${predicted} at pixel ${i}`,
        );
      }
      this.#matrix[truth * n + predicted]!++;
    }
  }

  /** The confusion matrix, row by row: for `absorb` of another process's accumulator. */
  state(): number[] {
    return [...this.#matrix];
  }

  absorb(matrix: readonly number[]): void {
    for (const [i, count] of matrix.entries()) this.#matrix[i]! += count;
  }

  result(): SegmentationScores {
    const n = this.numClasses;
    const classes = Array.from({ length: n }, (_, c) => c);
    const cell = (truth: number, predicted: number) => this.#matrix[truth * n + predicted]!;
    const actual = classes.map((c) => classes.reduce((sum, p) => sum + cell(c, p), 0));
    const predicted = classes.map((c) => classes.reduce((sum, t) => sum + cell(t, c), 0));
    const right = classes.map((c) => cell(c, c));
    const total = (counts: number[]) => counts.reduce((sum, count) => sum + count, 0);
    const iou = classes.map((c) => {
      const union = actual[c]! + predicted[c]! - right[c]!;
      return union === 0 ? null : right[c]! / union;
    });
    const pixels = total(actual);
    const why = 'no pixel has a ground-truth class';
    return {
      pixels,
      pAcc: pixels === 0 ? null : total(right) / pixels,
      mAcc: meanOfDefined(classes.map((c) => (actual[c] === 0 ? null : right[c]! / actual[c]!))),
      // A class that is only predicted has IoU 0 of its own but does not enter the mean, as in the original.
      miou: meanOfDefined(classes.map((c) => (actual[c] === 0 ? null : iou[c]!))),
      iou,
      reasons: pixels === 0 ? { pAcc: why, mAcc: why, miou: why, iou: why } : {},
    };
  }
}
