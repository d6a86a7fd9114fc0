import type { Reasons } from './reasons.js';

/**
 * CAM thresholds 0.05, 0.10, ... 0.95 as keys. Compared in float32, as `cam > 0.05` is in torch and numpy.
 */
export const CAM_THRESHOLD_KEYS: readonly string[] = Array.from({ length: 19 }, (_, i) =>
  ((i + 1) / 20).toFixed(2),
);
const CAM_THRESHOLDS = Float32Array.from(CAM_THRESHOLD_KEYS, Number);
const COUNT = CAM_THRESHOLDS.length;

/** Pixels with this mask value are left out of every score. */
export const IGNORE_INDEX = 255;

export interface CamScores {
  /** Positive slices that were scored. */
  slices: number;
  /** Slices left out because their mask holds no pixel of the class. */
  emptyMasks: number;
  /** Mean Dice of `cam > t` by threshold key, "0.05" to "0.95". */
  camDice: Record<string, number> | null;
  /** Mean intersection over union, by the same keys. */
  camIou: Record<string, number> | null;
  /** The threshold of highest mean Dice (the lowest of equals). */
  best: { threshold: string; dice: number } | null;
  /** Share of slices whose CAM maximum lies in the mask. */
  pointingGame: number | null;
  reasons: Reasons;
}

/** Dice coefficient 2|A∩B| / (|A|+|B|) from pixel counts; null when both are empty. */
export function dice(intersection: number, predicted: number, actual: number): number | null {
  return predicted + actual === 0 ? null : (2 * intersection) / (predicted + actual);
}

/** Intersection over union |A∩B| / |A∪B| from pixel counts; null when both are empty. */
export function iou(intersection: number, predicted: number, actual: number): number | null {
  const union = predicted + actual - intersection;
  return union === 0 ? null : intersection / union;
}

/** How many thresholds lie strictly below `value`: 0 (none) to 19 (all); NaN passes none. */
function thresholdsPassed(value: number): number {
  // The division lands within one step of the answer; float32 rounding of the thresholds decides the rest.
  let passed = Math.min(COUNT, Math.max(0, Math.floor(value * (COUNT + 1)))) || 0;
  while (passed > 0 && !(value > CAM_THRESHOLDS[passed - 1]!)) passed--;
  while (passed < COUNT && value > CAM_THRESHOLDS[passed]!) passed++;
  return passed;
}

/** How well class activation maps find the object, as means over the slices that hold it. Streaming. */
export class CamAccumulator {
  readonly #dice = new Float64Array(COUNT);
  readonly #iou = new Float64Array(COUNT);
  #hits = 0;
  #slices = 0;
  #emptyMasks = 0;

  /**
   * Adds one slice whose image-level label for the class is positive. All thresholds are scored in one
   * pass: pixels fall into 20 bins between thresholds, and sums from the top give every count.
   *
   * - A mask without the class scores nothing and is counted in `emptyMasks`: no overlap is possible.
   * - A CAM that exceeds a threshold nowhere has Dice and IoU 0 there.
   * - Mask pixels of value {@link IGNORE_INDEX} take part in nothing, the pointing game included.
   * - Of equal CAM maxima the first in row-major order points, as `argmax` does.
   *
   * @param cam `[height * width]`, the class's normalised CAM in [0, 1], at the size of the mask
   * @param mask `[height * width]`, class indices
   * @param classIndex mask value of the class
   * @throws RangeError when the sizes differ
   */
  add(cam: Float32Array, mask: Uint8Array, classIndex = 1): void {
    expectSameSize('cam', cam.length, mask.length);
    const inside = new Float64Array(COUNT + 1);
    const outside = new Float64Array(COUNT + 1);
    let actual = 0;
    let maximum = Number.NEGATIVE_INFINITY;
    let maximumAt = -1;
    for (let i = 0; i < cam.length; i++) {
      const truth = mask[i]!;
      if (truth === IGNORE_INDEX) continue;
      const value = cam[i]!;
      if (value > maximum) {
        maximum = value;
        maximumAt = i;
      }
      const bin = thresholdsPassed(value);
      if (truth === classIndex) {
        inside[bin]!++;
        actual++;
      } else outside[bin]!++;
    }
    if (actual === 0) {
      this.#emptyMasks++;
      return;
    }
    this.#slices++;
    if (mask[maximumAt] === classIndex) this.#hits++;
    let intersection = 0;
    let predicted = 0;
    for (let t = COUNT - 1; t >= 0; t--) {
      intersection += inside[t + 1]!;
      predicted += inside[t + 1]! + outside[t + 1]!;
      this.#dice[t]! += dice(intersection, predicted, actual)!;
      this.#iou[t]! += iou(intersection, predicted, actual)!;
    }
  }

  /** Sums so far, as plain JSON: for `absorb` of another process's accumulator. */
  state() {
    const [dices, ious] = [[...this.#dice], [...this.#iou]];
    return { dices, ious, hits: this.#hits, slices: this.#slices, emptyMasks: this.#emptyMasks };
  }

  absorb({ dices, ious, hits, slices, emptyMasks }: ReturnType<CamAccumulator['state']>): void {
    for (let t = 0; t < COUNT; t++) {
      this.#dice[t]! += dices[t]!;
      this.#iou[t]! += ious[t]!;
    }
    this.#hits += hits;
    this.#slices += slices;
    this.#emptyMasks += emptyMasks;
  }

  result(): CamScores {
    const slices = this.#slices;
    const emptyMasks = this.#emptyMasks;
    if (slices === 0) {
      const why = noSlices(emptyMasks);
      const reasons = { camDice: why, camIou: why, pointingGame: why };
      return { slices, emptyMasks, camDice: null, camIou: null, best: null, pointingGame: null, reasons };
    }
    const means = (sums: Float64Array) =>
      Object.fromEntries(CAM_THRESHOLD_KEYS.map((key, t) => [key, sums[t]! / slices]));
    const camDice = means(this.#dice);
    const threshold = CAM_THRESHOLD_KEYS.reduce((best, key) => (camDice[key]! > camDice[best]! ? key : best));
    return {
      slices,
      emptyMasks,
      camDice,
      camIou: means(this.#iou),
      best: { threshold, dice: camDice[threshold]! },
      pointingGame: this.#hits / slices,
      reasons: {},
    };
  }
}

export interface SegDiceScores {
  slices: number;
  emptyMasks: number;
  /** Mean Dice of the predicted class over positive slices. */
  segDice: number | null;
  reasons: Reasons;
}

/** Mean Dice of the segmentation head's label map over positive slices. Streaming. */
export class SegDiceAccumulator {
  #sum = 0;
  #slices = 0;
  #emptyMasks = 0;

  /**
   * Adds one positive slice; empty masks and ignored pixels are treated as in {@link CamAccumulator.add}.
   *
   * @param prediction `[height * width]`, the head's argmax, class indices
   * @param mask `[height * width]`, class indices
   */
  add(prediction: ArrayLike<number>, mask: Uint8Array, classIndex = 1): void {
    expectSameSize('prediction', prediction.length, mask.length);
    let intersection = 0;
    let predicted = 0;
    let actual = 0;
    for (let i = 0; i < mask.length; i++) {
      const truth = mask[i]!;
      if (truth === IGNORE_INDEX) continue;
      const isPredicted = prediction[i] === classIndex;
      if (isPredicted) predicted++;
      if (truth !== classIndex) continue;
      actual++;
      if (isPredicted) intersection++;
    }
    if (actual === 0) {
      this.#emptyMasks++;
      return;
    }
    this.#slices++;
    this.#sum += dice(intersection, predicted, actual)!;
  }

  /** As CamAccumulator's. */
  state() {
    return { sum: this.#sum, slices: this.#slices, emptyMasks: this.#emptyMasks };
  }

  absorb({ sum, slices, emptyMasks }: ReturnType<SegDiceAccumulator['state']>): void {
    this.#sum += sum;
    this.#slices += slices;
    this.#emptyMasks += emptyMasks;
  }

  result(): SegDiceScores {
    const slices = this.#slices;
    const emptyMasks = this.#emptyMasks;
    if (slices === 0)
      return { slices, emptyMasks, segDice: null, reasons: { segDice: noSlices(emptyMasks) } };
    return { slices, emptyMasks, segDice: this.#sum / slices, reasons: {} };
  }
}

function noSlices(emptyMasks: number): string {
  return emptyMasks > 0
    ? `none of the ${emptyMasks} positive images has the class in its mask`
    : 'there is no positive image with a mask';
}

function expectSameSize(what: string, received: number, expected: number): void {
  if (received !== expected) {
    throw new RangeError(
      `Expected as many pixels in ${what} as in the mask (${expected}) but received ${received}`,
    );
  }
}
