/** Splits that a person or another program has written down. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { expected, UsageError } from '../config/errors.js';
import { patientsOf } from './patients.js';

const FORM = '{"train": [...], "val": [...]} with names of slices or patients';
const splitFile = z.record(z.string(), z.array(z.string()));

/**
 * The slices of one split by a JSON file `{"train": [...], "val": [...], ...}`. An entry is a slice's name, with
 * or without extension, or a patient, whose slices are all meant. Slices that no split names are left out.
 *
 * @param names all slices of the folder, without extension
 * @returns the names of `split`, in the order of `names`
 * @throws UsageError for a file of another form, entries that are neither, and slices in two splits
 */
export function splitByFile(
  names: readonly string[],
  split: string,
  path: string,
  pattern: string,
): Set<string> {
  const lists = readSplits(path);
  if (!Object.hasOwn(lists, split)) {
    throw new UsageError(
      `${expected(`one of ${Object.keys(lists).join(', ')} (the splits of ${path})`, 'the split', split)}.`,
    );
  }
  const slicesOf = resolver(names, pattern);
  const owner = new Map<string, string>();
  const unknown: string[] = [];
  for (const [name, entries] of Object.entries(lists)) {
    for (const entry of entries) {
      const slices = slicesOf(entry);
      if (!slices) unknown.push(entry);
      for (const slice of slices ?? []) claim(owner, slice, name, path);
    }
  }
  if (unknown.length > 0) {
    throw new UsageError(
      `Expected names of slices or patients in ${path} but ${unknown.length} of them belong to no slice in ` +
        `dataset.root_dir: ${unknown.slice(0, 3).join(', ')}${unknown.length > 3 ? ', ...' : ''}. ` +
        'Correct the names, or dataset.patient_pattern.',
    );
  }
  return new Set(names.filter((name) => owner.get(name) === split));
}

function readSplits(path: string): Record<string, string[]> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(
      `Expected a JSON file ${FORM} for dataset.split.file but cannot read ${path}: ${(error as Error).message}.`,
      { cause: error },
    );
  }
  const parsed = splitFile.safeParse(content);
  if (!parsed.success) throw new UsageError(`${expected(FORM, `dataset.split.file ${path}`, content)}.`);
  return parsed.data;
}

function resolver(names: readonly string[], pattern: string) {
  const known = new Set(names);
  const byPatient = new Map<string, string[]>();
  patientsOf(names, pattern).forEach((patient, i) => {
    if (patient === undefined) return;
    const slices = byPatient.get(patient);
    if (slices) slices.push(names[i]!);
    else byPatient.set(patient, [names[i]!]);
  });
  return (entry: string): string[] | undefined => {
    const name = entry.replace(/\.[^.]+$/, '');
    return known.has(entry) ? [entry] : known.has(name) ? [name] : byPatient.get(entry);
  };
}

function claim(owner: Map<string, string>, slice: string, split: string, path: string): void {
  const before = owner.get(slice);
  if (before !== undefined && before !== split) {
    throw new UsageError(
      `Expected each slice in one split of ${path} but ${slice} is in '${before}' and in '${split}'. ` +
        'Take it, or its patient, out of one of them.',
    );
  }
  owner.set(slice, split);
}
