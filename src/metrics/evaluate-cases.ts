import { BINARY_SCORES, type BinaryScoreName, BinaryScores } from './binary-scores.js';
import {
  type BootstrapOptions,
  DEFAULT_CONFIDENCE,
  DEFAULT_REPLICATES,
  type Score,
  scoresWithIntervals,
} from './bootstrap.js';
import { CALIBRATION_BINS, type ReliabilityBin } from './calibration.js';
import type { ConfusionCounts } from './classification.js';
import type { PrecisionRecallCurve, RocCurve } from './curves.js';
import {
  type LocalisationEvaluation,
  type LocalisationOptions,
  mapSources,
  prepareMap,
} from './evaluate-localisation.js';
import { MacroScores } from './macro-scores.js';
import {
  casesByPatient,
  type EvaluatedCase,
  groupByPatient,
  type PatientScoreRule,
  type Patients,
  patientScores,
} from './patients.js';

export type BinaryScoreTable = Record<BinaryScoreName, Score>;

export interface ClassEvaluation {
  class: string;
  positives: number;
  /** Of the decision `score > threshold`. */
  confusion: ConfusionCounts;
  scores: BinaryScoreTable;
  roc: RocCurve | null;
  precisionRecall: PrecisionRecallCurve | null;
  reliability: ReliabilityBin[] | null;
}

/** Scores over slices, or over patients. */
export interface ClassificationEvaluation {
  samples: number;
  /** Mean over the classes ("macro"); with one class, the scores of that class. */
  scores: BinaryScoreTable;
  perClass: ClassEvaluation[];
}

/** How the numbers were made, in plain values, for a report's small print. */
export interface EvaluationMethod {
  threshold: number;
  patientScore: string;
  patientTopK: number;
  calibrationBins: number;
  intervals: { method: string; confidence: number; replicates: number; patients: number } | null;
}

/** Everything that {@link evaluateCases} finds; plain JSON. */
export interface Evaluation {
  cases: number;
  /** Null where no case names its patient. */
  patients: number | null;
  classes: string[];
  method: EvaluationMethod;
  perSlice: ClassificationEvaluation;
  /** Null where no case names its patient: the images are then all that there is. */
  perPatient: ClassificationEvaluation | null;
  /** By the name of the map; empty where nothing was measured. */
  localisation: Record<string, LocalisationEvaluation>;
}

export interface EvaluateOptions extends LocalisationOptions {
  /** Names of the classes without background; "1", "2", ... when left out. */
  classes?: readonly string[];
  /** A sample is predicted positive when its score is above; 0.5 when left out. */
  threshold?: number;
  /** `{topK: 1}`, the maximum, when left out. */
  patientScore?: PatientScoreRule;
  /** Intervals are null when left out. */
  bootstrap?: BootstrapOptions;
}

/**
 * All scores of a split, with 95 % intervals from resampling its patients.
 *
 * A map's scores need a threshold that was chosen on validation data: evaluate those with `chooseMapThresholds`, and
 * pass the thresholds that come out as `mapThresholds` when evaluating test data.
 *
 * @param cases one for each image; all with the same number of labels and scores
 * @throws RangeError for no cases, lengths that differ, labels other than 0 and 1, or options that make no sense
 */
export function evaluateCases(cases: readonly EvaluatedCase[], options: EvaluateOptions = {}): Evaluation {
  const classes = checkedClasses(cases, options.classes);
  const rule = checkedRule(options.patientScore);
  const patients = groupByPatient(cases);
  const slices = classes.map(
    (_, c) => new BinaryScores(column(cases, 'scores', c), column(cases, 'labels', c), patients.of, options),
  );
  const wholes = patients.known ? patientLevel(cases, classes.length, patients, rule, options) : [];
  const levels = [slices, wholes].filter((level) => level.length > 0);
  const sources = mapSources(cases);
  const maps = sources.map((source) =>
    prepareMap(source, cases, classes, patients.of, slices[0]!.threshold, options),
  );
  // All at once, so that every score sees the same replicates.
  const groups = [...levels.map((level) => new MacroScores(level)), ...maps.map((map) => map.group)];
  const scores = scoresWithIntervals(groups, patients.names.length, options.bootstrap);
  const [perSlice, perPatient] = levels.map((level, l) => classification(level, classes, scores[l]!));
  return {
    cases: cases.length,
    patients: patients.known ? patients.names.length : null,
    classes,
    method: describeMethod(options, rule, patients),
    perSlice: perSlice!,
    perPatient: perPatient ?? null,
    localisation: Object.fromEntries(
      maps.map((map, m) => [sources[m]!, map.finish(scores[levels.length + m]!)]),
    ),
  };
}

function patientLevel(
  cases: readonly EvaluatedCase[],
  numClasses: number,
  patients: Patients,
  rule: PatientScoreRule,
  options: EvaluateOptions,
): BinaryScores[] {
  const members = casesByPatient(patients);
  const itself = Uint32Array.from(members, (_, p) => p);
  return Array.from({ length: numClasses }, (_, c) => {
    const { scores, labels } = patientScores(
      column(cases, 'scores', c),
      column(cases, 'labels', c),
      members,
      rule,
    );
    return new BinaryScores(scores, labels, itself, {
      ...options,
      whyNotOneLabel: (label) => `every patient is ${label === 1 ? 'positive' : 'negative'}`,
    });
  });
}

function classification(
  level: readonly BinaryScores[],
  classes: readonly string[],
  scores: readonly Score[],
): ClassificationEvaluation {
  const table = (at: number) =>
    Object.fromEntries(
      BINARY_SCORES.map((name, s) => [name, scores[at * BINARY_SCORES.length + s]!]),
    ) as BinaryScoreTable;
  return {
    samples: level[0]!.samples,
    scores: table(0),
    perClass: level.map((one, c) => ({
      class: classes[c]!,
      positives: one.positives,
      confusion: one.confusion(),
      scores: table(c + 1),
      roc: one.roc(),
      precisionRecall: one.precisionRecall(),
      reliability: one.reliability(),
    })),
  };
}

function describeMethod(
  options: EvaluateOptions,
  rule: PatientScoreRule,
  patients: Patients,
): EvaluationMethod {
  const { bootstrap } = options;
  return {
    threshold: options.threshold ?? 0.5,
    patientTopK: rule.topK,
    patientScore: rule.topK === 1 ? 'maximum of its slices' : `mean of its ${rule.topK} highest slices`,
    calibrationBins: CALIBRATION_BINS,
    intervals: bootstrap
      ? {
          method: `percentile bootstrap, resampling ${patients.known ? 'patients' : 'images'}`,
          confidence: bootstrap.confidence ?? DEFAULT_CONFIDENCE,
          replicates: bootstrap.replicates ?? DEFAULT_REPLICATES,
          patients: patients.names.length,
        }
      : null,
  };
}

function column(cases: readonly EvaluatedCase[], what: 'scores' | 'labels', c: number): Float64Array {
  return Float64Array.from(cases, (one) => one[what][c]!);
}

function checkedClasses(cases: readonly EvaluatedCase[], names?: readonly string[]): string[] {
  if (cases.length === 0) throw new RangeError('Expected at least one case but received none');
  const count = names?.length ?? cases[0]!.labels.length;
  if (count === 0) throw new RangeError('Expected at least one class but received none');
  for (const { name, labels, scores } of cases) {
    if (labels.length === count && scores.length === count) continue;
    throw new RangeError(
      `Expected ${count} labels and scores for ${name} but received ${labels.length} labels and ${scores.length} scores`,
    );
  }
  return names ? [...names] : Array.from({ length: count }, (_, c) => String(c + 1));
}

function checkedRule(rule: PatientScoreRule = { topK: 1 }): PatientScoreRule {
  if (Number.isInteger(rule.topK) && rule.topK > 0) return rule;
  throw new RangeError(`Expected a positive integer for patientScore.topK but received ${rule.topK}`);
}
