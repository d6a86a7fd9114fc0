/** What a validation knows of each image: kept with best.pth, so that intervals and reports need no second pass. */
import { readFileSync } from 'node:fs';
import { UsageError } from '../config/errors.js';
import type { Config } from '../config/schema.js';
import type { Mask } from '../datasets/sample.js';
import type { PixelSpacing } from '../datasets/spacing.js';
import type { Team } from '../distributed/index.js';
import { writeFileAtomic } from '../io/atomic.js';
import type { Batch } from '../loading/batch.js';
import type { DatasetInfo } from '../loading/loader.js';
import { hashSeed, Random } from '../loading/random.js';
import {
  type BinaryScoreTable,
  type EvaluatedCase,
  type Evaluation,
  type EvaluationMethod,
  evaluateCases,
  type LocalisationScoreTable,
  measureLabels,
  measureMap,
  type Score,
} from '../metrics/index.js';

/** What one pass gives for a batch, each flattened: soft maps [B, C, H, W], label maps [B, H, W]. */
export interface CasePixels {
  seg: Float32Array;
  /** Absent where no map was computed. */
  cam?: Float32Array | undefined;
  /** After propagation by the predicted affinity, of the classes that the image has. */
  refined?: Float32Array | undefined;
}

/** Collects the cases of one pass. */
export class CaseCollector {
  cases: SavedCase[] = [];
  readonly #index: ReadonlyMap<string, number>;
  readonly #dataset: Pick<DatasetInfo, 'names' | 'patients' | 'spacings'>;

  constructor(dataset: Pick<DatasetInfo, 'names' | 'patients' | 'spacings'>) {
    this.#dataset = dataset;
    this.#index = new Map(dataset.names.map((name, i) => [name, i]));
  }

  /** Takes the others' cases too, in the dataset's order, so that intervals are those of one process. */
  async gather(team: Team): Promise<void> {
    if (team.size === 1) return;
    const at = ({ name }: SavedCase) => this.#index.get(name) ?? -1;
    this.cases = (await team.gather(this.cases)).flat().sort((a, b) => at(a) - at(b));
  }

  /** @param probabilities [B, C] @param pixels absent where no map was computed */
  add(batch: Batch, probabilities: Float32Array, pixels?: CasePixels): void {
    const classes = batch.labels.length / batch.names.length;
    for (const [i, name] of batch.names.entries()) {
      const row = (values: Float32Array) => [...values.subarray(i * classes, (i + 1) * classes)];
      const at = this.#index.get(name) ?? -1;
      const patient = this.#dataset.patients?.[at];
      const spacing = this.#dataset.spacings?.[at];
      const mask = batch.masks?.[i];
      this.cases.push({
        name,
        ...(patient !== undefined && { patient }),
        ...(spacing && { spacing }),
        labels: row(batch.labels),
        scores: row(probabilities),
        ...(mask && pixels && { localisation: measured(mask, i, row(batch.labels), pixels, spacing) }),
      });
    }
  }
}

function measured(
  { data, height, width }: Mask,
  image: number,
  labels: readonly number[],
  { cam, refined, seg }: CasePixels,
  spacing: PixelSpacing | undefined,
): NonNullable<EvaluatedCase['localisation']> {
  const size = height * width;
  const soft = (maps: Float32Array, c: number) => {
    const plane = image * labels.length + c;
    return measureMap(maps.subarray(plane * size, (plane + 1) * size), data, { classIndex: c + 1 });
  };
  const predicted = seg.subarray(image * size, (image + 1) * size);
  const surface = { height, width, spacing };
  return {
    ...(cam && { cam: labels.map((_, c) => soft(cam, c)) }),
    // Propagation knows the label: a class that is absent has no map that could be wrong.
    ...(refined && { refined: labels.map((label, c) => (label === 1 ? soft(refined, c) : null)) }),
    seg: labels.map((_, c) => measureLabels(predicted, data, { classIndex: c + 1, surface })),
  };
}

/** The cases of a checkpoint on a split, as best_cases.json holds them. */
export interface SavedCases {
  split: string;
  /** Names of the classes without background, where the dataset tells them. */
  classes?: readonly string[] | undefined;
  iteration: number;
  cases: SavedCase[];
}

export interface SavedCase extends EvaluatedCase {
  /** Of its mask's pixels, mm; where known. */
  spacing?: PixelSpacing;
}

/** Replicates of the bootstrap: from seed to seed, the ends of an interval then vary by 2 % of its width. */
const REPLICATES = 1000;

export interface ScoreOptions {
  /** Names of the classes without background. */
  classes?: readonly string[] | undefined;
  /**
   * Chosen on validation data, by the name of the map. Absent: these cases are the validation's, and thresholds are
   * chosen on them.
   */
  mapThresholds?: Readonly<Record<string, string>>;
}

/**
 * Scores of cases with intervals from resampling patients, as a configuration asks for them.
 */
export function scoreCases(
  cases: readonly EvaluatedCase[],
  { train, val }: Config,
  { classes, mapThresholds }: ScoreOptions = {},
): Evaluation {
  const random = new Random(hashSeed(train.seed, 'bootstrap'));
  const bootstrap = { random: () => random.next(), replicates: REPLICATES };
  const thresholds = mapThresholds ? { mapThresholds } : { chooseMapThresholds: true };
  const patientScore = { topK: val.patient_top_k };
  return evaluateCases(cases, { bootstrap, classes, patientScore, ...thresholds });
}

/** The scores of an evaluation as summary.json and metrics.jsonl keep them. */
export interface ScoresWithIntervals {
  perSlice: BinaryScoreTable;
  perPatient: BinaryScoreTable | null;
  localisation: Record<string, { threshold: string | null; scores: LocalisationScoreTable }>;
  method: EvaluationMethod;
}

/** Curves and classes are left to the report, which computes them again from the cases. */
export function withoutCurves({
  perSlice,
  perPatient,
  localisation,
  method,
}: Evaluation): ScoresWithIntervals {
  const maps = Object.entries(localisation).map(([name, { threshold, scores }]) => [
    name,
    { threshold, scores },
  ]);
  return {
    perSlice: perSlice.scores,
    perPatient: perPatient?.scores ?? null,
    localisation: Object.fromEntries(maps),
    method,
  };
}

/** " (95 %: 0.951-0.992)", or nothing where there is no interval. */
export const intervalText = (score: Score | undefined): string =>
  score?.low == null ? '' : ` (95 %: ${score.low.toFixed(3)}-${score.high!.toFixed(3)})`;

export function saveCases(path: string, saved: SavedCases): void {
  writeFileAtomic(path, `${JSON.stringify(saved)}\n`);
}

/** @throws UsageError that says how such a file is made */
export function readCases(path: string): SavedCases {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as SavedCases;
  } catch (cause) {
    throw new UsageError(
      `Expected the cases of a validation in ${path} but cannot read them (${(cause as Error).message}). ` +
        'Training writes them beside summary.json: train first, or name the work directory of a run.',
      { cause },
    );
  }
}
