/** Suggests where to cut a list of slices into validation and training. */

/** One slice of the list, in the order in which a dataset lists it. */
export interface LabelledSlice {
  patient: string;
  positive: boolean;
}

export interface SplitSuggestion {
  /** `dataset.slice_split`: [val_start, train_start]. */
  sliceSplit: [number, number];
  val: SplitCounts;
  train: SplitCounts;
  /** What a reader of the scores should know; empty when nothing. */
  caveats: string[];
}

export interface SplitCounts {
  slices: number;
  positives: number;
  patients: number;
}

const VALIDATION_SHARE = 0.25;

/**
 * A split [0, n] whose cut lies between two patients, with about a quarter of the slices for validation and,
 * where the data allow it, positives and negatives on both sides. Slices of one single patient are cut where
 * validation has a quarter of the positives: that is said among the caveats.
 *
 * @returns undefined when there are not two slices to separate
 */
export function suggestSliceSplit(slices: readonly LabelledSlice[]): SplitSuggestion | undefined {
  if (slices.length < 2) return undefined;
  const patients = new Set(slices.map((slice) => slice.patient)).size;
  const cut = patients > 1 ? cutBetweenPatients(slices) : cutWithinPatient(slices);
  const val = countSlices(slices.slice(0, cut));
  const train = countSlices(slices.slice(cut));
  const caveats: string[] = [];
  if (patients === 1) {
    caveats.push(
      'Only one patient: validation slices are neighbours of training slices, so the scores show that ' +
        'learning works, not how well it carries over to other patients.',
    );
  }
  for (const [name, part] of Object.entries({ validation: val, training: train })) {
    if (part.positives === 0) caveats.push(`The ${name} part has no positive slice.`);
    if (part.positives === part.slices) caveats.push(`The ${name} part has no negative slice.`);
  }
  return { sliceSplit: [0, cut], val, train, caveats };
}

/** Slices, positive slices and patients of a list. */
export function countSlices(slices: readonly LabelledSlice[]): SplitCounts {
  return {
    slices: slices.length,
    positives: slices.filter((slice) => slice.positive).length,
    patients: new Set(slices.map((slice) => slice.patient)).size,
  };
}

function hasBothLabels(slices: readonly LabelledSlice[]): boolean {
  return slices.some((slice) => slice.positive) && slices.some((slice) => !slice.positive);
}

function cutBetweenPatients(slices: readonly LabelledSlice[]): number {
  const cuts: number[] = [];
  for (let i = 1; i < slices.length; i++) if (slices[i]!.patient !== slices[i - 1]!.patient) cuts.push(i);
  const usable = cuts.filter(
    (cut) => hasBothLabels(slices.slice(0, cut)) && hasBothLabels(slices.slice(cut)),
  );
  const wanted = VALIDATION_SHARE * slices.length;
  return (usable.length > 0 ? usable : cuts).reduce((best, cut) =>
    Math.abs(cut - wanted) < Math.abs(best - wanted) ? cut : best,
  );
}

function cutWithinPatient(slices: readonly LabelledSlice[]): number {
  const wanted = VALIDATION_SHARE * countSlices(slices).positives;
  let positives = 0;
  for (let cut = 1; cut < slices.length; cut++) {
    if (slices[cut - 1]!.positive) positives++;
    const enough = positives > 0 && positives >= wanted;
    if (enough && hasBothLabels(slices.slice(0, cut)) && hasBothLabels(slices.slice(cut))) return cut;
  }
  return Math.max(1, Math.floor(VALIDATION_SHARE * slices.length));
}
