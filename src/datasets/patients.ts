/** Whose slice a file is: read from its name. */
import { UsageError } from '../config/errors.js';

/**
 * Everything before slice number and label: "LASC_007_012_1" is a slice of patient "LASC_007". `prepare` and
 * the original's BRATS_{id}_{slice}_{label} name slices so.
 */
export const PATIENT_PATTERN = '^(.+)_\\d+_\\d+$';

/**
 * Patients of slices, by a regular expression whose first group is the patient.
 * @param names without extension
 * @returns one entry for each name; undefined where the pattern does not match
 */
export function patientsOf(names: readonly string[], pattern: string): (string | undefined)[] {
  const expression = new RegExp(pattern, 'u');
  return names.map((name) => expression.exec(name)?.[1]);
}

/** @throws UsageError naming the first slice whose patient is not known: a guess could put one on both sides */
export function requirePatients(names: readonly string[], pattern: string, why: string): string[] {
  const patients = patientsOf(names, pattern);
  const unknown = names.filter((_, i) => patients[i] === undefined);
  if (unknown.length > 0) {
    throw new UsageError(
      `Expected a patient in every slice's name (dataset.patient_pattern ${pattern}) for ${why} but ` +
        `${unknown.length} of ${names.length} names have none, the first is ${unknown[0]}. ` +
        'Set dataset.patient_pattern to a regular expression whose first group is the patient.',
    );
  }
  return patients as string[];
}
