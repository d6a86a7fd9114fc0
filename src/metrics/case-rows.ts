import type { Evaluation } from './evaluate-cases.js';
import { CAM_THRESHOLD_KEYS } from './localisation.js';
import {
  LOCALISATION_SCORES,
  type LocalisationScoreName,
  type SliceKind,
  sliceKind,
  sliceScores,
} from './localisation-scores.js';
import { casesByPatient, type EvaluatedCase, groupByPatient, patientScores } from './patients.js';
import { meanOfDefined } from './reasons.js';

export type LocalisationRow = Record<LocalisationScoreName, number | null>;

/** One image in a report: which cases are best and worst. Plain JSON. */
export interface CaseRow {
  name: string;
  patient: string | null;
  labels: number[];
  scores: number[];
  /** By map and class, at the evaluation's threshold; null where there was no mask. */
  localisation: Record<string, ((LocalisationRow & { kind: SliceKind }) | null)[]>;
}

/** One patient in a report; means over its slices that have the score. Plain JSON. */
export interface PatientRow {
  patient: string;
  slices: number;
  /** `[classes]`: slices with the label. */
  positives: number[];
  /** `[classes]`: by the evaluation's rule. */
  scores: number[];
  localisation: Record<string, LocalisationRow[]>;
}

/** @param evaluation of the same cases: it knows the thresholds */
export function caseRows(cases: readonly EvaluatedCase[], evaluation: Evaluation): CaseRow[] {
  const sources = Object.entries(evaluation.localisation).map(([name, { threshold, thresholdFrom }]) => {
    const t = thresholdFrom === 'label map' ? 0 : CAM_THRESHOLD_KEYS.indexOf(threshold ?? '');
    return [name, t] as const;
  });
  return cases.map(({ name, patient, labels, scores, localisation }) => {
    const row = (source: string, t: number, c: number) => {
      const measurement = localisation?.[source]?.[c];
      if (!measurement) return null;
      const label = labels[c]!;
      const called = scores[c]! > evaluation.method.threshold;
      const values = sliceScores({ patient: 0, label, called, measurement }, t);
      return { ...toRow((s) => numberOrNull(values[s]!)), kind: sliceKind(label, measurement) };
    };
    return {
      name,
      patient: patient ?? null,
      labels: Array.from(labels),
      scores: Array.from(scores),
      localisation: Object.fromEntries(
        sources.map(([source, t]) => [source, evaluation.classes.map((_, c) => row(source, t, c))]),
      ),
    };
  });
}

/** One row for each patient, an image without patient by itself, in the order of their first image. */
export function patientRows(cases: readonly EvaluatedCase[], evaluation: Evaluation): PatientRow[] {
  const patients = groupByPatient(cases);
  const members = casesByPatient(patients);
  const rows = caseRows(cases, evaluation);
  const rule = { topK: evaluation.method.patientTopK };
  const scores = evaluation.classes.map((_, c) => {
    const column = (what: 'scores' | 'labels') => cases.map((one) => one[what][c]!);
    return patientScores(column('scores'), column('labels'), members, rule).scores;
  });
  return members.map((indices, p) => ({
    patient: patients.names[p]!,
    slices: indices.length,
    positives: evaluation.classes.map((_, c) => indices.filter((i) => cases[i]!.labels[c] === 1).length),
    scores: scores.map((column) => column[p]!),
    localisation: Object.fromEntries(
      Object.keys(evaluation.localisation).map((source) => [
        source,
        evaluation.classes.map((_, c) =>
          toRow((s) =>
            meanOfDefined(
              indices.map((i) => rows[i]!.localisation[source]![c]?.[LOCALISATION_SCORES[s]!] ?? null),
            ),
          ),
        ),
      ]),
    ),
  }));
}

function toRow(value: (s: number) => number | null): LocalisationRow {
  return Object.fromEntries(LOCALISATION_SCORES.map((name, s) => [name, value(s)])) as LocalisationRow;
}

function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
