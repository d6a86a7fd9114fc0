import { CAM_THRESHOLD_KEYS, dice, iou } from './localisation.js';
import { type MeasuredSlice, sliceKind } from './localisation-scores.js';
import { meanOfDefined } from './reasons.js';

/** Scores by threshold, means over the classes; no intervals. */
export interface ThresholdSweep {
  thresholds: string[];
  dice: (number | null)[];
  iou: (number | null)[];
  falsePositiveArea: (number | null)[];
}

/** @param classes the measured slices of each class */
export function sweepThresholds(classes: readonly MeasuredSlice[][]): ThresholdSweep {
  const perClass = classes.map(sweepClass);
  const mean = (name: 'dice' | 'iou' | 'falsePositiveArea') =>
    CAM_THRESHOLD_KEYS.map((_, t) => meanOfDefined(perClass.map((one) => one[name](t))));
  return {
    thresholds: [...CAM_THRESHOLD_KEYS],
    dice: mean('dice'),
    iou: mean('iou'),
    falsePositiveArea: mean('falsePositiveArea'),
  };
}

/** The means of LocalisationScores, of all thresholds in one pass. */
function sweepClass(slices: readonly MeasuredSlice[]) {
  const [dices, ious, areas] = [0, 1, 2].map(() => new Float64Array(CAM_THRESHOLD_KEYS.length));
  let [positives, negatives] = [0, 0];
  // A map with NaN has no scores, and a mean over the others would flatter the model.
  const broken = slices.some(({ measurement }) => measurement.notNumbers > 0);
  for (const { label, measurement } of broken ? [] : slices) {
    const { pixels, actual, predicted, intersection } = measurement;
    const kind = sliceKind(label, measurement);
    if (kind === 'positive') {
      positives++;
      for (let t = 0; t < predicted.length; t++) {
        dices![t]! += dice(intersection[t]!, predicted[t]!, actual)!;
        ious![t]! += iou(intersection[t]!, predicted[t]!, actual)!;
      }
    } else if (kind === 'negative' && pixels > 0) {
      negatives++;
      for (let t = 0; t < predicted.length; t++) areas![t]! += predicted[t]! / pixels;
    }
  }
  const mean = (sums: Float64Array, count: number) => (t: number) => (count === 0 ? null : sums[t]! / count);
  return {
    dice: mean(dices!, positives),
    iou: mean(ious!, positives),
    falsePositiveArea: mean(areas!, negatives),
  };
}

/** The threshold of highest mean Dice, the lowest of equals; null where Dice does not exist. */
export function bestThreshold({
  thresholds,
  dice,
}: ThresholdSweep): { threshold: string; dice: number } | null {
  let best = -1;
  for (const [t, value] of dice.entries()) {
    if (value !== null && (best < 0 || value > dice[best]!)) best = t;
  }
  return best < 0 ? null : { threshold: thresholds[best]!, dice: dice[best]! };
}
