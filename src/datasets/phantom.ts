/**
 * The demonstration data: synthetic patients whose slices hold a textured lesion or none, and distractors
 * (a ring, dots) always, so that brightness alone does not tell the two apart.
 */

import { expected, UsageError } from '../config/errors.js';
import { hashSeed, Random } from '../loading/random.js';
import { drawPatient, drawSlice } from './phantom-drawing.js';
import { SliceWriter } from './slice-writer.js';

/** Share of slices with a lesion. */
const PREVALENCE = 0.59;

/** What can be asked for, within which bounds, and what is drawn unasked: the demo's data. */
export const PHANTOM_NUMBERS = {
  seed: { least: 0, most: Number.MAX_SAFE_INTEGER, unasked: 1 },
  patients: { least: 1, most: 9999, unasked: 20 },
  slices: { least: 1, most: 9999, unasked: 24 },
  size: { least: 32, most: 1024, unasked: 96 },
} as const;

/** Numbers that are left out are those of PHANTOM_NUMBERS. */
export interface PhantomOptions {
  /** Folder that gets `imageSlice/`, `masks/` and `dataset.json`. */
  outDir: string;
  /** Same seed, same bytes. */
  seed?: number;
  patients?: number;
  /** Slices of each patient. */
  slices?: number;
  /** Height and width in pixels. */
  size?: number;
  /** Replace slices that `outDir` holds already. Default false. */
  overwrite?: boolean;
}

/** The slices that were written, in the order in which a dataset lists them. */
export interface PhantomSummary {
  outDir: string;
  seed: number;
  size: number;
  slices: { patient: string; positive: boolean }[];
}

/**
 * Draws a phantom dataset: uint8 slices `LASC_{patient}_{slice}_{label}.npy`, [size, size], and masks (0 or 1)
 * of the same names. A patient's draws depend on the seed and its number only: more patients leave the first
 * ones as they were.
 *
 * @throws UsageError for an impossible number or an `outDir` that is filled already
 */
export function generatePhantom(options: PhantomOptions): PhantomSummary {
  const { outDir, overwrite = false } = options;
  const [seed, patients, slices, size] = (['seed', 'patients', 'slices', 'size'] as const).map((name) =>
    numberOf(name, options),
  ) as [number, number, number, number];

  const writer = new SliceWriter(outDir, overwrite);
  const summary: PhantomSummary = { outDir, seed, size, slices: [] };
  try {
    for (let p = 0; p < patients; p++) {
      const patient = drawPatient(new Random(hashSeed(seed, 'phantom patient', p)), size);
      const patientId = padded(p, patients, 3);
      drawLabels(new Random(hashSeed(seed, 'phantom labels', p)), slices).forEach((positive, s) => {
        const random = new Random(hashSeed(seed, 'phantom slice', p, s));
        const { image, mask } = drawSlice(patient, positive, random, size);
        const square = { height: size, width: size };
        const name = `LASC_${patientId}_${padded(s, slices, 2)}_${positive ? 1 : 0}`;
        writer.write(name, { data: image, ...square }, { data: mask, ...square });
        summary.slices.push({ patient: patientId, positive });
      });
    }
    writer.commit({ source: 'phantom', seed, patients, slices_per_patient: slices, size });
  } catch (error) {
    writer.abort();
    throw error;
  }
  return summary;
}

/** Whether each slice holds a lesion; of two slices or more at least one does and one does not. */
function drawLabels(random: Random, slices: number): boolean[] {
  const labels = Array.from({ length: slices }, () => random.next() < PREVALENCE);
  const odd = random.below(slices);
  if (slices > 1 && labels.every((label) => label === labels[0])) labels[odd] = !labels[odd];
  return labels;
}

/** A number with zeros in front, as wide as the largest of `count` numbers, so that names sort by number. */
function padded(number: number, count: number, width: number): string {
  return String(number).padStart(Math.max(width, String(count - 1).length), '0');
}

function numberOf(name: keyof typeof PHANTOM_NUMBERS, options: PhantomOptions): number {
  const { least, most, unasked } = PHANTOM_NUMBERS[name];
  const value = options[name] ?? unasked;
  if (!Number.isInteger(value) || value < least || value > most)
    throw new UsageError(`${expected(`an integer from ${least} to ${most}`, name, value)}.`);
  return value;
}
