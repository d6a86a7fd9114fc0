/**
 * Folders with one subfolder for each case, as the KiTS challenges are laid out: `case_00000/imaging.nii.gz` and
 * `segmentation.nii.gz` (KiTS19, KiTS23) or `aggregated_MAJ_seg.nii.gz` (KiTS21).
 */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import type { WindowRule } from './intensity-window.js';
import { LISTED, patientNumbers, type VolumePair } from './volume-pairs.js';

const IMAGING = ['imaging.nii.gz', 'imaging.nii'];
const SEGMENTATION = [
  'segmentation.nii.gz',
  'segmentation.nii',
  'aggregated_MAJ_seg.nii.gz',
  'aggregated_MAJ_seg.nii',
];
/** Where the repositories of KiTS19, 21 and 23 keep their cases. */
const INNER = ['data', 'dataset', join('kits21', 'data')];

/** What is meant for such folders where no flag says otherwise. */
export const CASE_DEFAULTS: { prefix: string; positive: readonly number[]; window: WindowRule } = {
  prefix: 'KITS',
  // 1 is kidney, 2 tumour, 3 cyst. Most slices that show a tumour show a kidney too, but not the reverse: the finding is 2.
  positive: [2],
  // Hounsfield units of soft tissue: the abdominal window of width 400 at level 40.
  window: { kind: 'intensity', low: -160, high: 240 },
};

export interface CaseFolders {
  pairs: VolumePair[];
  /** Cases left out because they have no segmentation while others have. */
  unlabelled: string[];
}

/**
 * @returns undefined when `folder` is not laid out by cases
 * @throws UsageError when cases lack their volume, or when cases lie one folder deeper
 */
export function findCaseFolders(folder: string): CaseFolders | undefined {
  if (!isFolder(folder)) return undefined;
  const cases = listCases(folder);
  if (cases.length === 0) {
    const inner = INNER.find((part) => listCases(join(folder, part)).length > 0);
    if (inner === undefined) return undefined;
    throw new UsageError(
      `Expected cases with ${IMAGING[0]} in ${folder} but they lie deeper. Did you mean ${join(folder, inner)}?`,
    );
  }
  const empty = cases.filter(({ imaging }) => imaging === undefined).map(({ name }) => name);
  if (empty.length > 0) {
    throw new UsageError(
      `Expected ${IMAGING[0]} in every case of ${folder} but received none in ${some(empty)}. The challenge's repository holds ` +
        'segmentations only: run its download script, or move these folders away.',
    );
  }
  const patients = patientNumbers(cases.map(({ name }) => name));
  const pairs = cases.map(({ name, imaging, segmentation }, i) => ({
    image: join(folder, name, imaging!),
    labels: segmentation && join(folder, name, segmentation),
    patient: patients[i]!,
    folder: name,
  }));
  const labelled = pairs.filter(({ labels }) => labels !== undefined);
  if (labelled.length === 0) return { pairs, unlabelled: [] };
  const unlabelled = pairs.filter(({ labels }) => labels === undefined).map((pair) => pair.folder);
  return { pairs: labelled, unlabelled };
}

/** Names for messages, cut where they are many. */
export function some(names: readonly string[]): string {
  const more = names.length > LISTED ? ` and ${names.length - LISTED} more` : '';
  return `${names.slice(0, LISTED).join(', ')}${more}`;
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

interface Case {
  name: string;
  imaging: string | undefined;
  segmentation: string | undefined;
}

/** Subfolders that hold a volume or a segmentation under one of the known names, sorted. */
function listCases(folder: string): Case[] {
  if (!isFolder(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || entry.isSymbolicLink()))
    .map(({ name }) => {
      const path = join(folder, name);
      const files = statSync(path, { throwIfNoEntry: false })?.isDirectory()
        ? new Set(readdirSync(path))
        : new Set();
      const first = (names: readonly string[]): string | undefined => names.find((file) => files.has(file));
      return { name, imaging: first(IMAGING), segmentation: first(SEGMENTATION) };
    })
    .filter(({ imaging, segmentation }) => imaging !== undefined || segmentation !== undefined)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
