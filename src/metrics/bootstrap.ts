/**
 * Cluster bootstrap (Field and Welsh, 2007; for slices of patients: Obuchowski, 1997): patients are drawn with
 * replacement, and each brings all its slices. Slices of one patient resemble each other, so resampling slices
 * would give intervals that are too narrow. The intervals are the percentile ones (Efron, 1981).
 *
 * A replicate is a weight for each patient, how often it was drawn, and a score is a function of the weights. So
 * nothing is copied or sorted again, and all scores see the same replicates.
 */

/** A score with its interval. What does not exist is null, never 0, and `reason` says why. */
export interface Score {
  value: number | null;
  /** Ends of the confidence interval, both or neither. */
  low: number | null;
  high: number | null;
  /** Replicates in which the score did not exist; absent when there is none. */
  undefinedReplicates?: number;
  /** Why the value, or else the interval, is null. */
  reason?: string;
}

export interface BootstrapOptions {
  /** A seeded generator of numbers in [0, 1). It is drawn from `replicates * patients` times, whatever the scores. */
  random: () => number;
  /** 2,000 when left out: from seed to seed, the ends of a normal 95 % interval then vary by 1.5 % of its width. */
  replicates?: number;
  /** 0.95 when left out. */
  confidence?: number;
}

/** Scores that are functions of how often each patient counts. */
export interface WeightedScores {
  /** How many scores. */
  readonly size: number;
  /**
   * @param weights `[patients]`, counts
   * @param out `[size]`, receives the scores; NaN for one that does not exist under these weights
   */
  compute(weights: Float64Array, out: Float64Array): void;
  /** Why score `index`, which is NaN with every patient counted once, does not exist. */
  whyUndefined(index: number): string;
}

export const DEFAULT_REPLICATES = 2000;
export const DEFAULT_CONFIDENCE = 0.95;
/** An interval is null when the score does not exist in a larger share of the replicates. */
export const MAX_UNDEFINED_SHARE = 0.05;

/**
 * Scores of each group, with intervals where `options` are given.
 *
 * @param groups what to compute, from the same patients
 * @param patients how many patients: the length of the weights
 * @returns `[groups][group.size]`
 * @throws RangeError for options that make no sense
 */
export function scoresWithIntervals(
  groups: readonly WeightedScores[],
  patients: number,
  options?: BootstrapOptions,
): Score[][] {
  const weights = new Float64Array(patients).fill(1);
  const values = groups.map((group) => evaluate(group, weights));
  const { replicates, confidence } = checkedOptions(options);
  const resample = options !== undefined && patients > 1;
  const whyNoInterval =
    options === undefined ? 'no intervals were asked for' : `${patients} patient: nothing to resample`;
  const samples = groups.map((group) => new Float64Array(resample ? group.size * replicates : 0));
  for (let r = 0; resample && r < replicates; r++) {
    weights.fill(0);
    for (let i = 0; i < patients; i++) weights[Math.floor(options.random() * patients)]!++;
    for (const [g, group] of groups.entries()) {
      group.compute(weights, samples[g]!.subarray(r * group.size, (r + 1) * group.size));
    }
  }
  return groups.map((group, g) =>
    Array.from(values[g]!, (value, s): Score => {
      if (Number.isNaN(value)) return undefinedScore(group.whyUndefined(s));
      if (!resample) return { value, low: null, high: null, reason: whyNoInterval };
      const column = Float64Array.from({ length: replicates }, (_, r) => samples[g]![r * group.size + s]!);
      return { value, ...percentileInterval(column, confidence) };
    }),
  );
}

/** A score that does not exist. */
export function undefinedScore(reason: string): Score {
  return { value: null, low: null, high: null, reason };
}

function evaluate(group: WeightedScores, weights: Float64Array): Float64Array {
  const out = new Float64Array(group.size);
  group.compute(weights, out);
  return out;
}

/** The central interval that holds `confidence` of the replicates; NaN are left out and counted. */
export function percentileInterval(replicates: Float64Array, confidence: number): Omit<Score, 'value'> {
  const defined = replicates.filter((value) => !Number.isNaN(value)).sort();
  const missing = replicates.length - defined.length;
  const undefinedReplicates = missing > 0 ? { undefinedReplicates: missing } : {};
  if (missing > MAX_UNDEFINED_SHARE * replicates.length) {
    const reason = `the score does not exist in ${missing} of ${replicates.length} resamples of the patients`;
    return { low: null, high: null, ...undefinedReplicates, reason };
  }
  const tail = (1 - confidence) / 2;
  return { low: quantile(defined, tail), high: quantile(defined, 1 - tail), ...undefinedReplicates };
}

/** Quantile of ascending numbers, linear between neighbours as numpy's default. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (position - below);
}

function checkedOptions(options?: BootstrapOptions): { replicates: number; confidence: number } {
  const replicates = options?.replicates ?? DEFAULT_REPLICATES;
  const confidence = options?.confidence ?? DEFAULT_CONFIDENCE;
  if (!Number.isInteger(replicates) || replicates < 1) {
    throw new RangeError(`Expected a positive integer for replicates but received ${replicates}`);
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new RangeError(`Expected a number between 0 and 1 for confidence but received ${confidence}`);
  }
  return { replicates, confidence };
}
