import type { Score } from './bootstrap.js';
import { CAM_THRESHOLD_KEYS } from './localisation.js';
import {
  LOCALISATION_SCORES,
  type LocalisationScoreName,
  LocalisationScores,
  type MeasuredSlice,
  type SliceKind,
} from './localisation-scores.js';
import { MacroScores } from './macro-scores.js';
import { checkThreshold } from './map-measurement.js';
import type { EvaluatedCase } from './patients.js';
import { bestThreshold, sweepThresholds, type ThresholdSweep } from './threshold-sweep.js';

export type LocalisationScoreTable = Record<LocalisationScoreName, Score>;

export interface ClassLocalisation {
  class: string;
  /** Positive and negative slices are scored; a label without mask pixels, or the reverse, is only counted. */
  slices: Record<SliceKind, number>;
  scores: LocalisationScoreTable;
}

/** How well one kind of map finds the objects. */
export interface LocalisationEvaluation {
  /** The threshold of the scores, "0.05" to "0.95"; null for a label map, and where none was chosen. */
  threshold: string | null;
  /** Where it comes from: it was given (chosen on validation data), or chosen on these very cases. */
  thresholdFrom: 'given' | 'these cases' | 'label map' | null;
  /** Mean over the classes. */
  scores: LocalisationScoreTable;
  perClass: ClassLocalisation[];
  /** Null for a label map. */
  sweep: ThresholdSweep | null;
  /** The best that a threshold chosen on these cases would give. On test data it is a bound, not a result. */
  oracle: { threshold: string; dice: number } | null;
}

export interface LocalisationOptions {
  /** Thresholds chosen on validation data, by the name of the map. */
  mapThresholds?: Readonly<Record<string, string>>;
  /** Choose those that are not given on these cases, by mean Dice: for validation data only. */
  chooseMapThresholds?: boolean;
}

/** One kind of map on its way: what is fixed before the resampling. */
export interface PreparedMap {
  group: MacroScores;
  finish(scores: readonly Score[]): LocalisationEvaluation;
}

/**
 * Collects the measurements of one kind of map and fixes its threshold.
 *
 * @param source name of the map in each case's `localisation`
 * @param patientOf `[cases]` @param calledAbove threshold of the classifier
 */
export function prepareMap(
  source: string,
  cases: readonly EvaluatedCase[],
  classes: readonly string[],
  patientOf: ArrayLike<number>,
  calledAbove: number,
  options: LocalisationOptions,
): PreparedMap {
  const slices = classes.map((_, c) => measuredSlices(source, cases, c, patientOf, calledAbove));
  const isLabelMap = thresholdCount(source, slices) === 1;
  const sweep = isLabelMap ? null : sweepThresholds(slices);
  const oracle = sweep && bestThreshold(sweep);
  const given = options.mapThresholds?.[source];
  if (given !== undefined) checkThreshold(given);
  if (given !== undefined && isLabelMap) {
    throw new RangeError(`Expected no threshold for the label map "${source}" but received "${given}"`);
  }
  const chosen = options.chooseMapThresholds ? oracle?.threshold : undefined;
  const threshold = isLabelMap ? null : (given ?? chosen ?? null);
  const from = given !== undefined ? 'given' : 'these cases';
  const t = isLabelMap ? 0 : CAM_THRESHOLD_KEYS.indexOf(threshold ?? '');
  const groups = slices.map((one) => new LocalisationScores(one, t));
  return {
    group: new MacroScores(groups),
    finish: (scores) => ({
      threshold,
      thresholdFrom: isLabelMap ? 'label map' : threshold === null ? null : from,
      scores: table(scores, 0),
      perClass: groups.map((one, c) => ({
        class: classes[c]!,
        slices: one.counts,
        scores: table(scores, c + 1),
      })),
      sweep,
      oracle,
    }),
  };
}

/** Names of the maps that any case was measured with, in the order in which they appear. */
export function mapSources(cases: readonly EvaluatedCase[]): string[] {
  return [...new Set(cases.flatMap(({ localisation }) => Object.keys(localisation ?? {})))];
}

/** The measurements of one class, of the cases that have one. */
function measuredSlices(
  source: string,
  cases: readonly EvaluatedCase[],
  c: number,
  patientOf: ArrayLike<number>,
  calledAbove: number,
): MeasuredSlice[] {
  return cases.flatMap(({ labels, scores, localisation }, i) => {
    const measurement = localisation?.[source]?.[c];
    if (!measurement) return [];
    return [{ patient: patientOf[i]!, label: labels[c]!, called: scores[c]! > calledAbove, measurement }];
  });
}

function thresholdCount(source: string, slices: readonly MeasuredSlice[][]): number {
  const counts = new Set(slices.flatMap((one) => one.map(({ measurement }) => measurement.predicted.length)));
  if (counts.size > 1) {
    throw new RangeError(`Expected soft maps or label maps for "${source}" but received both`);
  }
  return [...counts][0] ?? CAM_THRESHOLD_KEYS.length;
}

function table(scores: readonly Score[], at: number): LocalisationScoreTable {
  return Object.fromEntries(
    LOCALISATION_SCORES.map((name, s) => [name, scores[at * LOCALISATION_SCORES.length + s]!]),
  ) as LocalisationScoreTable;
}
