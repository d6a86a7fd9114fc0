import { CAM_THRESHOLD_KEYS } from './localisation.js';
import { LocalisationScores, type MeasuredSlice } from './localisation-scores.js';
import { MacroScores } from './macro-scores.js';

/** Scores by threshold, means over the classes; no intervals. */
export interface ThresholdSweep {
  thresholds: string[];
  dice: (number | null)[];
  iou: (number | null)[];
  falsePositiveArea: (number | null)[];
}

/** @param classes the measured slices of each class */
export function sweepThresholds(classes: readonly MeasuredSlice[][], patients: number): ThresholdSweep {
  const weights = new Float64Array(patients).fill(1);
  const rows = CAM_THRESHOLD_KEYS.map((_, t) => {
    const scores = new MacroScores(classes.map((slices) => new LocalisationScores(slices, t)));
    const out = new Float64Array(scores.size);
    scores.compute(weights, out);
    return out;
  });
  // dice, iou and falsePositiveArea in LOCALISATION_SCORES.
  const column = (s: number) => rows.map((row) => (Number.isNaN(row[s]!) ? null : row[s]!));
  return {
    thresholds: [...CAM_THRESHOLD_KEYS],
    dice: column(0),
    iou: column(1),
    falsePositiveArea: column(7),
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
