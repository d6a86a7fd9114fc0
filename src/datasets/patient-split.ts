/** Splits that keep each patient on one side. */
import { UsageError } from '../config/errors.js';
import { hashSeed, Random } from '../loading/random.js';

export interface PatientSplitOptions {
  /** Share of the slices that each split should get, by its name; they add up to 1, and 0 means none. */
  shares: Readonly<Record<string, number>>;
  seed: number;
  /** Keep the share of positive slices alike as well. */
  stratify: boolean;
}

interface Patient {
  id: string;
  slices: number;
  positives: number;
}

/**
 * Gives every patient a split, in a random order drawn from the seed: each goes where it leaves the splits
 * closest to their shares, of slices and, stratified, of positives and negatives apart (the greedy rule of
 * scikit-learn's StratifiedGroupKFold). Large patients come first, since the small ones can still even out.
 * The result depends on the set of slices and the options only, not on their order.
 *
 * @param patients one entry for each slice @param positive likewise
 * @returns the split of each patient
 * @throws UsageError when there are fewer patients than splits that should have some
 */
export function splitPatients(
  patients: readonly string[],
  positive: readonly boolean[],
  { shares, seed, stratify }: PatientSplitOptions,
): Map<string, string> {
  const wanted = Object.entries(shares).filter(([, share]) => share > 0);
  const people = gather(patients, positive);
  if (people.length < wanted.length) {
    throw new UsageError(
      `Expected at least one patient for each split (${wanted.map(([name]) => name).join(', ')}) but received ` +
        `${people.length} in all. Add patients, or set the share of a split in dataset.split to 0.`,
    );
  }
  const total = people.reduce((sum, p) => ({ ...p, ...add(sum, p) }), { id: '', slices: 0, positives: 0 });
  const splits = wanted.map(([name, share]) => ({ name, share, slices: 0, positives: 0, patients: 0 }));
  const result = new Map<string, string>();
  shuffled(people, seed).forEach((patient, i) => {
    // The last patients are kept for splits that have none yet.
    const empty = splits.filter((split) => split.patients === 0);
    const open = people.length - i <= empty.length ? empty : splits;
    const cost = (split: (typeof splits)[number]) => excess(split, patient, total, stratify);
    const best = open.reduce((a, b) => (cost(b) < cost(a) ? b : a));
    Object.assign(best, add(best, patient), { patients: best.patients + 1 });
    result.set(patient.id, best.name);
  });
  return result;
}

const add = <T extends { slices: number; positives: number }>(a: T, b: Patient) => ({
  slices: a.slices + b.slices,
  positives: a.positives + b.positives,
});

function gather(patients: readonly string[], positive: readonly boolean[]): Patient[] {
  const people = new Map<string, Patient>();
  patients.forEach((id, i) => {
    const patient = people.get(id) ?? { id, slices: 0, positives: 0 };
    patient.slices += 1;
    patient.positives += Number(positive[i]);
    people.set(id, patient);
  });
  return [...people.values()];
}

function shuffled(people: readonly Patient[], seed: number): Patient[] {
  const named = people.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const order = new Random(hashSeed(seed, 'patient split')).permutation(named.length);
  // A stable sort: equal sizes stay in their random order.
  return [...order].map((i) => named[i]!).sort((a, b) => b.slices - a.slices);
}

/** How far a split would be filled with `patient` in it, as a multiple of its share; the fullest class counts. */
function excess(
  split: { share: number; slices: number; positives: number },
  patient: Patient,
  total: Patient,
  stratify: boolean,
): number {
  const after = add(split, patient);
  const filled = (have: number, all: number) => (all === 0 ? 0 : have / (all * split.share));
  const slices = filled(after.slices, total.slices);
  if (!stratify) return slices;
  const positives = filled(after.positives, total.positives);
  const negatives = filled(after.slices - after.positives, total.slices - total.positives);
  return (patient.positives * positives + (patient.slices - patient.positives) * negatives) / patient.slices;
}
