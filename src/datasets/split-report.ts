/** What is to be known of the splits that a run trains and validates on. */
import { createHash } from 'node:crypto';
import { UsageError } from '../config/errors.js';
import type { Dataset } from './dataset.js';

export interface SplitFacts {
  samples: number;
  /** Samples with any class. */
  positives: number;
  /** Distinct patients; null where names do not tell them. */
  patients: number | null;
  /** SHA-256 of the names in order, one a line: equal lists, equal checksum. */
  sha256: string;
}

export interface SplitReport {
  train: SplitFacts;
  val: SplitFacts;
  /** Patients with slices on both sides; images where there are no patients. */
  shared: string[];
}

export function describeSplits(train: Dataset, val: Dataset): SplitReport {
  return { train: factsOf(train), val: factsOf(val), shared: sharedPatients(train, val) };
}

/** The unit that must not be on both sides: the patient, or the image itself. */
const unitsOf = ({ names, patients }: Dataset): string[] => names.map((name, i) => patients?.[i] ?? name);

function sharedPatients(train: Dataset, val: Dataset): string[] {
  const trained = new Set(unitsOf(train));
  return [...new Set(unitsOf(val))].filter((unit) => trained.has(unit)).sort();
}

function factsOf(dataset: Dataset): SplitFacts {
  const { names, patients } = dataset;
  const known = patients?.every((patient) => patient !== undefined);
  const positives = names.filter((_, i) => dataset.label(i).some((value) => value > 0)).length;
  return {
    samples: names.length,
    positives,
    patients: known ? new Set(patients).size : null,
    sha256: createHash('sha256')
      .update(names.map((name) => `${name}\n`).join(''))
      .digest('hex'),
  };
}

const SHOWN = 5;
const listed = (names: readonly string[]) =>
  `${names.slice(0, SHOWN).join(', ')}${names.length > SHOWN ? `, and ${names.length - SHOWN} more` : ''}`;

/** What leaks from training into validation, as a sentence; undefined when nothing does. */
export function leakage({ shared }: SplitReport): string | undefined {
  if (shared.length === 0) return undefined;
  const [subject, are] = shared.length === 1 ? ['One patient', 'is'] : [`${shared.length} patients`, 'are'];
  return (
    `${subject} ${are} in training and in validation: ${listed(shared)}. Scores will be too good, since ` +
    "neighbouring slices of one patient are alike. Set dataset.split: {by: patient}, or move the split's cut."
  );
}

/** @throws UsageError where `dataset.strict_split` asks for splits without a common patient */
export function requireSeparate(report: SplitReport): void {
  const leak = leakage(report);
  if (leak)
    throw new UsageError(`Expected no patient on both sides (dataset.strict_split) but received: ${leak}`);
}

/** One line for the log: "train: 360 slices (213 positive) of 15 patients, list 3f2a91c07d5e". */
export function splitLine(name: string, { samples, positives, patients, sha256 }: SplitFacts): string {
  const whose = patients === null ? '' : ` of ${patients} patient${patients === 1 ? '' : 's'}`;
  return `${name}: ${samples} samples (${positives} positive)${whose}, list ${sha256.slice(0, 12)}`;
}
