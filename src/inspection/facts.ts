/** From what was scanned to numbers about each split, and pairs of equal images. */
import { quantile } from '../metrics/bootstrap.js';
import type { SampleFacts, SplitScan } from './scan.js';

/** Of all sampled pixels, in percent. */
export const PERCENTILES = [1, 5, 25, 50, 75, 95, 99] as const;

export interface SplitNumbers {
  split: string;
  samples: number;
  /** Samples with any class, and their share. */
  positives: number;
  prevalence: number;
  /** Samples by class, for more than one. */
  perClass: number[];
  /** Null where names do not tell patients. */
  patients: number | null;
  /** Count by "height x width", by file form; the most frequent first. */
  sizes: Record<string, number>;
  formats: Record<string, number>;
  intensity: { min: number; max: number; percentiles: Record<string, number> } | null;
  unreadable: { name: string; why: string }[];
  masks: {
    present: number;
    /** Samples whose label has a class that the mask lacks, and the other way round. */
    labelWithoutMask: string[];
    maskWithoutLabel: string[];
    /** Pixels of a class in an image that shows it; null where no mask shows any. */
    medianPixels: number | null;
  };
}

export function numbersOf({ split, numClasses, samples, unreadable }: SplitScan): SplitNumbers {
  const positives = samples.filter(({ label }) => label.includes(1)).length;
  const classes = Array.from({ length: numClasses - 1 }, (_, c) => c);
  const known = samples.every(({ patient }) => patient !== undefined);
  const masked = samples.filter(({ maskPixels }) => maskPixels !== undefined);
  const areas = masked.flatMap(({ maskPixels }) => [...maskPixels!.values()]).sort((a, b) => a - b);
  const contradicted = (labelled: 0 | 1) =>
    masked
      .filter(({ label, maskPixels }) =>
        classes.some((c) => label[c] === labelled && maskPixels!.has(c + 1) !== (labelled === 1)),
      )
      .map(({ name }) => name);
  return {
    split,
    samples: samples.length,
    positives,
    prevalence: positives / samples.length,
    perClass: classes.map((c) => samples.filter(({ label }) => label[c] === 1).length),
    patients: known ? new Set(samples.map(({ patient }) => patient)).size : null,
    sizes: tally(samples.map(({ height, width }) => `${height} x ${width}`)),
    formats: tally(samples.map(({ format }) => format)),
    intensity: intensityOf(samples),
    unreadable,
    masks: {
      present: masked.length,
      labelWithoutMask: contradicted(1),
      maskWithoutLabel: contradicted(0),
      medianPixels: areas.length === 0 ? null : quantile(areas, 0.5),
    },
  };
}

function tally(values: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}

function intensityOf(samples: readonly SampleFacts[]): SplitNumbers['intensity'] {
  if (samples.length === 0) return null;
  const values = new Float32Array(samples.reduce((sum, sample) => sum + sample.values.length, 0));
  let filled = 0;
  for (const sample of samples) {
    values.set(sample.values, filled);
    filled += sample.values.length;
  }
  values.sort();
  const at = (percent: number) => values[Math.round((percent / 100) * (values.length - 1))]!;
  return {
    min: samples.reduce((least, { min }) => Math.min(least, min), Number.POSITIVE_INFINITY),
    max: samples.reduce((most, { max }) => Math.max(most, max), Number.NEGATIVE_INFINITY),
    percentiles: Object.fromEntries(PERCENTILES.map((percent) => [String(percent), at(percent)])),
  };
}

/** Groups of samples with equal pixels, as "split/name"; each group has two or more. */
export function duplicatesIn(scans: readonly SplitScan[]): { within: string[][]; across: string[][] } {
  const groups = new Map<string, { split: string; name: string }[]>();
  for (const { split, samples } of scans)
    for (const { hash, name } of samples) {
      const group = groups.get(hash);
      if (group) group.push({ split, name });
      else groups.set(hash, [{ split, name }]);
    }
  const equal = [...groups.values()].filter((group) => group.length > 1);
  const isAcross = (group: readonly { split: string }[]) => new Set(group.map((g) => g.split)).size > 1;
  const named = (group: readonly { split: string; name: string }[]) =>
    group.map(({ split, name }) => `${split}/${name}`);
  return {
    within: equal.filter((group) => !isAcross(group)).map(named),
    across: equal.filter(isAcross).map(named),
  };
}
