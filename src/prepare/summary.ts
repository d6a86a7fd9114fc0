/** What the prepare command says at its end. */

import { join } from 'node:path';
import { fieldAt } from '../config/keys.js';
import { datasetNames } from '../datasets/registry.js';
import { countSlices, type LabelledSlice, type SplitCounts, suggestSliceSplit } from './split.js';
import type { VolumeReport } from './volume-report.js';

export interface PreparedDataset {
  outDir: string;
  /** For `--dataset` of the training command. */
  dataset: string;
  slices: readonly LabelledSlice[];
  volumes?: readonly VolumeReport[];
  hasMasks: boolean;
  /** More to say about what was read; whole sentences. */
  remarks?: readonly string[];
  /** Longest side of a slice in pixels. */
  longestSide: number;
}

/** Crop size of the shipped configurations. */
const DEFAULT_CROP = fieldAt('dataset.crop_size')!.parse(undefined) as number;

/** The dataset that is named like a prefix; slices of any other prefix have the form of LASC's too. */
export function datasetOfPrefix(prefix: string): string {
  const name = prefix.toLowerCase();
  return datasetNames().includes(name) ? name : 'lasc';
}

/** Counts, what was left out, and the command that trains on the slices. */
export function summaryText(data: PreparedDataset): string {
  const { outDir, slices, hasMasks } = data;
  const folders = hasMasks ? 'imageSlice/ and masks/' : 'imageSlice/';
  const lines = [
    `Wrote ${describe(countSlices(slices))} to ${outDir} (${folders}).`,
    ...(data.remarks ?? []),
    ...omissions(data),
  ];
  if (!hasMasks && data.volumes !== undefined) {
    lines.push(
      'Without labels every slice is named _0: the slices serve for exporting maps, not for training.',
    );
    return lines.join('\n');
  }
  const split = suggestSliceSplit(slices);
  if (split === undefined) return lines.join('\n');
  lines.push(
    `Suggested split: slice_split [${split.sliceSplit.join(', ')}]: validation ${describe(split.val)}, ` +
      `training ${describe(split.train)}.`,
    ...split.caveats.map((caveat) => `Note: ${caveat}`),
    'Train with:',
    `  ${trainCommand(data, split.sliceSplit)}`,
  );
  return lines.join('\n');
}

function describe({ slices, positives, patients }: SplitCounts): string {
  return `${plural(slices, 'slice')} (${positives} positive) of ${plural(patients, 'patient')}`;
}

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

function omissions({ volumes = [] }: PreparedDataset): string[] {
  const total = (kind: 'small' | 'empty'): number => volumes.reduce((sum, v) => sum + v.skipped[kind], 0);
  const lines: string[] = [];
  const [small, empty] = [total('small'), total('empty')];
  if (small > 0)
    lines.push(`Left out ${plural(small, 'slice')} with fewer positive pixels than --min_area (--small).`);
  if (empty > 0) lines.push(`Left out ${plural(empty, 'slice')} with too little tissue (--empty).`);
  const unoriented = volumes.filter((volume) => volume.affine_from === 'nothing').length;
  if (unoriented > 0) {
    lines.push(
      `Note: ${plural(unoriented, 'volume')} without orientation; their axes were taken to run to right, ` +
        'anterior and superior. Look at the slices, and choose --axis x, y or z where that is wrong.',
    );
  }
  return lines;
}

function trainCommand({ outDir, dataset, longestSide }: PreparedDataset, split: readonly number[]): string {
  // The configuration's crop would mostly hold padding around smaller slices.
  const crop = Math.max(64, 32 * Math.round(longestSide / 32));
  const cropFlag = crop < DEFAULT_CROP ? ` --crop_size ${crop}` : '';
  const root = join(outDir, 'imageSlice');
  return (
    `node dist/train.js --dataset ${dataset}${cropFlag} --set ${quoteSetting(`dataset.root_dir=${root}`)} ` +
    `--set ${quoteSetting(`dataset.slice_split=[${split.join(', ')}]`)}`
  );
}

/** An assignment as a shell takes it. */
export const quoteSetting = (assignment: string): string =>
  /[^\w./=-]/.test(assignment) ? `"${assignment}"` : assignment;
