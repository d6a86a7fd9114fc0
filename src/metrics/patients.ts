import type { MapMeasurement } from './map-measurement.js';

/** What is known of one image: its labels, the model's scores, and how well maps found the object. */
export interface EvaluatedCase {
  name: string;
  /** All images of a patient are drawn together. An image without patient counts as a patient of its own. */
  patient?: string;
  /** `[classes]`, 0 or 1. */
  labels: ArrayLike<number>;
  /** `[classes]`, probabilities. */
  scores: ArrayLike<number>;
  /** By the name of the map ("cam", "refined", "seg"), `[classes]`; null or absent where there is no mask. */
  localisation?: Readonly<Record<string, readonly (MapMeasurement | null)[]>>;
}

/** The score of a patient: the mean of the `topK` highest scores of its slices (of all, where it has fewer). */
export interface PatientScoreRule {
  topK: number;
}

/** Which images belong to whom. */
export interface Patients {
  /** By index; an image without patient stands under its own name. */
  names: string[];
  /** `[cases]`: the index of each image's patient. */
  of: Uint32Array;
  /** Whether any image has a patient. */
  known: boolean;
}

/** Numbers patients in the order of their first image. */
export function groupByPatient(cases: readonly EvaluatedCase[]): Patients {
  const indices = new Map<string, number>();
  const names: string[] = [];
  const of = Uint32Array.from(cases, ({ patient, name }) => {
    const index = patient === undefined ? undefined : indices.get(patient);
    if (index !== undefined) return index;
    if (patient !== undefined) indices.set(patient, names.length);
    return names.push(patient ?? name) - 1;
  });
  return { names, of, known: indices.size > 0 };
}

/** The cases of each patient, as indices. */
export function casesByPatient(patients: Patients): number[][] {
  const members: number[][] = patients.names.map(() => []);
  patients.of.forEach((patient, i) => {
    members[patient]!.push(i);
  });
  return members;
}

/**
 * One score and one label for each patient: a patient is positive when any of its slices is.
 *
 * @param scores `[cases]` @param labels `[cases]`
 */
export function patientScores(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  members: readonly number[][],
  { topK }: PatientScoreRule,
): { scores: Float64Array; labels: Uint8Array } {
  return {
    scores: Float64Array.from(members, (indices) => {
      // NaN sorts last in a typed array, so that a broken slice breaks its patient's score.
      const highest = Float64Array.from(indices, (i) => scores[i]!)
        .sort()
        .slice(-topK);
      return highest.reduce((sum, score) => sum + score, 0) / highest.length;
    }),
    labels: Uint8Array.from(members, (indices) => Number(indices.some((i) => labels[i] === 1))),
  };
}
