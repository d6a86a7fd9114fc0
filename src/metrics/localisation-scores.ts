import type { WeightedScores } from './bootstrap.js';
import { dice, iou } from './localisation.js';
import type { MapMeasurement } from './map-measurement.js';

/**
 * Localisation scores, each a mean over slices of one class. "Positive" slices have the label and a mask that holds
 * the class, "negative" ones have neither. In the order in which they are computed:
 *
 * - `dice`, `iou`: positive slices, at the threshold; 0 when nothing is predicted
 * - `missRate`: share of positive slices in which nothing is predicted
 * - `hd95`, `hd95Mm`: positive slices in which something is predicted (pixels, millimetres); lower is better
 * - `pointingGame`: share of positive slices whose maximum lies in the mask (Zhang et al., 2016, without tolerance)
 * - `pixelAp`: positive slices, average precision of their pixels; needs no threshold
 * - `falsePositiveArea`: negative slices, share of the pixels that are predicted
 * - `falsePositiveAreaCalled`: the same when the map is shown only where the classifier calls the slice positive
 */
export const LOCALISATION_SCORES = [
  'dice',
  'iou',
  'missRate',
  'hd95',
  'hd95Mm',
  'pointingGame',
  'pixelAp',
  'falsePositiveArea',
  'falsePositiveAreaCalled',
] as const;
export type LocalisationScoreName = (typeof LOCALISATION_SCORES)[number];

/** How image-level label and mask of a slice agree; only the first two are scored. */
export type SliceKind = 'positive' | 'negative' | 'emptyMask' | 'unlabelledMask';

/** One class of one slice, as a map was measured on it. */
export interface MeasuredSlice {
  patient: number;
  label: number;
  /** Whether the classifier calls the slice positive. */
  called: boolean;
  measurement: MapMeasurement;
}

export function sliceKind(label: number, { actual }: MapMeasurement): SliceKind {
  if (label === 1) return actual > 0 ? 'positive' : 'emptyMask';
  return actual > 0 ? 'unlabelledMask' : 'negative';
}

/**
 * The scores of one slice in the order of {@link LOCALISATION_SCORES}; NaN for those that it does not have.
 *
 * @param t index of the threshold (0 for a label map), or -1 for none
 */
export function sliceScores({ label, called, measurement }: MeasuredSlice, t: number): Float64Array {
  const out = new Float64Array(LOCALISATION_SCORES.length).fill(Number.NaN);
  if (measurement.notNumbers > 0) return out;
  const kind = sliceKind(label, measurement);
  const { pixels, actual, hit, pixelAp, hd95, hd95Mm } = measurement;
  const predicted = measurement.predicted[t] ?? Number.NaN;
  const intersection = measurement.intersection[t] ?? Number.NaN;
  if (kind === 'positive') {
    out[0] = dice(intersection, predicted, actual)!;
    out[1] = iou(intersection, predicted, actual)!;
    out[2] = Number.isNaN(predicted) ? predicted : Number(predicted === 0);
    out[3] = hd95?.[t] ?? Number.NaN;
    out[4] = hd95Mm?.[t] ?? Number.NaN;
    out[5] = hit === null ? Number.NaN : Number(hit);
    out[6] = pixelAp ?? Number.NaN;
  } else if (kind === 'negative') {
    out[7] = predicted / pixels;
    out[8] = called ? out[7]! : 0 * out[7]!;
  }
  return out;
}

/** Localisation scores of one class and one kind of map, as functions of the patients' weights. */
export class LocalisationScores implements WeightedScores {
  readonly size = LOCALISATION_SCORES.length;
  readonly counts: Record<SliceKind, number> = { positive: 0, negative: 0, emptyMask: 0, unlabelledMask: 0 };
  /** For each score, the patients that have slices with it: how many, and the sum over them. */
  readonly #means: { patients: Uint32Array; slices: Float64Array; sums: Float64Array }[];
  readonly #why: (index: number) => string;

  /** @param t index of the threshold (0 for a label map), or -1 where none was chosen */
  constructor(slices: readonly MeasuredSlice[], t: number) {
    for (const { label, measurement } of slices) this.counts[sliceKind(label, measurement)]++;
    const withheld = whyWithheld(slices, t);
    const patients = slices.reduce((most, { patient }) => Math.max(most, patient + 1), 0);
    const sums = LOCALISATION_SCORES.map(() => new Float64Array(patients));
    const counts = LOCALISATION_SCORES.map(() => new Float64Array(patients));
    for (const slice of slices) {
      const row = sliceScores(slice, t);
      for (let s = 0; s < row.length; s++) {
        if (Number.isNaN(row[s]!) || withheld[LOCALISATION_SCORES[s]!] !== undefined) continue;
        sums[s]![slice.patient]! += row[s]!;
        counts[s]![slice.patient]!++;
      }
    }
    this.#means = counts.map((count, s) => {
      const having = Uint32Array.from(count.keys()).filter((patient) => count[patient]! > 0);
      return {
        patients: having,
        slices: Float64Array.from(having, (patient) => count[patient]!),
        sums: Float64Array.from(having, (patient) => sums[s]![patient]!),
      };
    });
    this.#why = (s) => withheld[LOCALISATION_SCORES[s]!] ?? whyNone(LOCALISATION_SCORES[s]!, this.counts);
  }

  compute(weights: Float64Array, out: Float64Array): void {
    for (let s = 0; s < this.size; s++) {
      const { patients, slices, sums } = this.#means[s]!;
      let sum = 0;
      let count = 0;
      for (let i = 0; i < patients.length; i++) {
        const weight = weights[patients[i]!]!;
        sum += weight * sums[i]!;
        count += weight * slices[i]!;
      }
      out[s] = sum / count;
    }
  }

  whyUndefined(index: number): string {
    return this.#why(index);
  }
}

/** Reasons for which a mean over the slices that have the score would mislead. */
function whyWithheld(
  slices: readonly MeasuredSlice[],
  t: number,
): Partial<Record<LocalisationScoreName, string>> {
  const broken = slices.filter(({ measurement }) => measurement.notNumbers > 0).length;
  if (broken > 0) {
    const why = `${broken} of ${slices.length} maps hold NaN`;
    return Object.fromEntries(LOCALISATION_SCORES.map((name) => [name, why]));
  }
  const positives = slices.filter(({ label, measurement }) => sliceKind(label, measurement) === 'positive');
  const isLabelMap = positives.length > 0 && positives.every(({ measurement }) => measurement.hit === null);
  const noMaximum = isLabelMap ? 'a label map has no maximum and no ranking' : undefined;
  const withheld: Partial<Record<LocalisationScoreName, string>> = {};
  if (noMaximum) Object.assign(withheld, { pointingGame: noMaximum, pixelAp: noMaximum });
  if (t < 0) {
    const why = 'no threshold was chosen on validation data';
    for (const name of LOCALISATION_SCORES) {
      if (name !== 'pointingGame' && name !== 'pixelAp') withheld[name] = why;
    }
    return withheld;
  }
  const found = positives.filter(({ measurement }) => measurement.predicted[t]! > 0);
  for (const name of ['hd95', 'hd95Mm'] as const) {
    const measured = found.filter(({ measurement }) => (measurement[name]?.[t] ?? null) !== null).length;
    if (measured === found.length) continue;
    const what = name === 'hd95Mm' && found.some((one) => one.measurement.hd95?.[t] != null);
    withheld[name] =
      `${what ? 'the pixel spacing is known' : 'surface distances were measured'} for ${measured} of ${found.length} images`;
  }
  return withheld;
}

function whyNone(name: LocalisationScoreName, counts: Record<SliceKind, number>): string {
  if (name.startsWith('falsePositive')) return 'there is no negative image with a mask';
  if (counts.positive > 0) return 'nothing is predicted in any positive image';
  if (counts.emptyMask > 0) {
    return `none of the ${counts.emptyMask} positive images has the class in its mask`;
  }
  return 'there is no positive image with a mask';
}
