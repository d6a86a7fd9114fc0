/** Which slices of a folder belong to a split, in each of the forms that a configuration may choose. */
import { expected, UsageError } from '../config/errors.js';
import type { DatasetConfig } from './dataset.js';
import { splitPatients } from './patient-split.js';
import { requirePatients } from './patients.js';
import { splitByFile } from './split-file.js';
import { splitByIndex } from './splits.js';

export interface SplitRules {
  /** [val_start, train_start]: for `by: index`. */
  sliceSplit: readonly [number, number];
  /** The configuration's `dataset.split`. Absent: by index. */
  split?: DatasetConfig['split'] | undefined;
  patientPattern: string;
}

/**
 * @param names all slices, sorted, without extension
 * @param positive whether a slice shows any class, for a stratified split
 * @param source their folder, for messages
 * @returns the names of `split`, in order
 * @throws UsageError for an unknown or empty split, and as the chosen form says
 */
export function selectSplit(
  names: readonly string[],
  positive: (name: string) => boolean,
  split: string,
  rules: SplitRules,
  source: string,
): string[] {
  const { split: form, sliceSplit, patientPattern } = rules;
  if (form?.by === 'file') {
    const chosen = splitByFile(names, split, form.file!, patientPattern);
    return requireSome(
      [...chosen],
      split,
      `${form.file} leaves none of the ${names.length} slices of ${source}`,
    );
  }
  if (form?.by !== 'patient') return splitByIndex(names, split, sliceSplit, source);
  const shares: Record<string, number> = { train: form.train, val: form.val, test: form.test };
  if (!Object.hasOwn(shares, split))
    throw new UsageError(`${expected("'train', 'val' or 'test'", 'the split', split)}.`);
  const patients = requirePatients(names, patientPattern, 'dataset.split.by: patient');
  const { seed, stratify } = form;
  const owner = splitPatients(patients, names.map(positive), { shares, seed, stratify });
  const chosen = names.filter((_, i) => owner.get(patients[i]!) === split);
  return requireSome(chosen, split, `dataset.split.${split} is ${shares[split]}`);
}

function requireSome(chosen: string[], split: string, why: string): string[] {
  if (chosen.length > 0) return chosen;
  throw new UsageError(`Expected at least one slice in split '${split}' but received none: ${why}.`);
}
