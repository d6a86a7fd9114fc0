/** Turns NIfTI volumes, and label volumes where there are any, into a dataset of labelled 2-D slices. */

import { UsageError } from '../config/errors.js';
import { MASK_IGNORE } from '../datasets/sample.js';
import { SliceWriter } from '../datasets/slice-writer.js';
import { CASE_DEFAULTS, findCaseFolders } from './case-folders.js';
import { applyWindow, DEFAULT_WINDOW, resolveWindow, type WindowRule } from './intensity-window.js';
import { checkSameGrid, readPositiveMask } from './label-volume.js';
import { readNiftiHeader, readNiftiVoxels } from './nifti-file.js';
import { type SliceAxis, sliceGeometry, takeSlice } from './slice-geometry.js';
import { judgeSlice, type SelectionRules, type Verdict } from './slice-selection.js';
import { countSlices, type LabelledSlice, suggestSliceSplit } from './split.js';
import { findVolumePairs, namePrefix, type VolumePair } from './volume-pairs.js';
import { reportVolume, type Volume, type VolumeReport } from './volume-report.js';

export interface NiftiDatasetOptions extends SelectionRules {
  /** A volume, a folder of volumes, or a folder of case folders with volume and labels in each. */
  input: string;
  /** A label volume or a folder of them; without, every slice is named `_0` and there are no masks. */
  labels?: string;
  /** Labels that count as positive; empty: every label but 0. By default empty, or what `CASE_DEFAULTS` says. */
  positive?: readonly number[];
  outDir: string;
  /** First part of every name; by default BRATS where the volumes' names begin so, else LASC. */
  prefix?: string;
  axis: SliceAxis;
  /** Channel of 4-D volumes, from 0. */
  channel?: number;
  /** By default percentiles 1 and 99, or what `CASE_DEFAULTS` says. */
  window?: WindowRule;
  ignoreAffine: boolean;
  overwrite: boolean;
  /** Called after each volume. */
  onVolume?: (done: VolumeReport, index: number, count: number) => void;
}

/** Options with nothing left open. */
type Resolved = NiftiDatasetOptions & { prefix: string; positive: readonly number[]; window: WindowRule };

export interface NiftiDatasetSummary {
  prefix: string;
  positive: readonly number[];
  window: WindowRule;
  hasMasks: boolean;
  /** Cases left out for lack of a segmentation. */
  unlabelled: string[];
  /** The slices written, in the order in which a dataset lists them. */
  slices: LabelledSlice[];
  volumes: VolumeReport[];
  /** Longest side of any slice in pixels. */
  longestSide: number;
}

/**
 * Writes uint8 slices `{prefix}_{patient}_{slice}_{label}.npy`, masks and `dataset.json`. Every header is
 * checked before anything is written, and the folder appears only when all volumes are done.
 *
 * @throws UsageError for volumes or labels that cannot be used, and when no voxel is positive
 */
export async function prepareNiftiDataset(request: NiftiDatasetOptions): Promise<NiftiDatasetSummary> {
  const { pairs, unlabelled, options } = findSource(request);
  const volumes: Volume[] = [];
  for (const pair of pairs) volumes.push(await inspectVolume(pair, options));
  const digits = Math.max(3, ...volumes.map((volume) => String(volume.geometry.slices.size - 1).length));
  const writer = new SliceWriter(options.outDir, options.overwrite);
  const { prefix, positive, window } = options;
  const longestSide = Math.max(
    ...volumes.flatMap(({ geometry }) => [geometry.rows.size, geometry.columns.size]),
  );
  const summary: NiftiDatasetSummary = {
    prefix,
    positive,
    window,
    hasMasks: pairs[0]!.labels !== undefined,
    unlabelled,
    slices: [],
    volumes: [],
    longestSide,
  };
  const found = new Set<number>();
  try {
    for (const [index, volume] of volumes.entries()) {
      const report = await sliceVolume(volume, options, { prefix, digits }, writer, summary.slices, found);
      summary.volumes.push(report);
      options.onVolume?.(report, index, volumes.length);
    }
    checkOutcome(options, summary, found);
    writer.commit(sidecar(options, summary));
  } finally {
    writer.abort();
  }
  return summary;
}

/** The volumes of the input, and the options with the defaults of its layout. */
function findSource(request: NiftiDatasetOptions): {
  pairs: VolumePair[];
  unlabelled: string[];
  options: Resolved;
} {
  const { positive = [], window = DEFAULT_WINDOW, prefix } = request;
  const cases = request.labels === undefined ? findCaseFolders(request.input) : undefined;
  if (cases !== undefined) return { ...cases, options: { ...CASE_DEFAULTS, ...given(request) } };
  const pairs = findVolumePairs(request.input, request.labels);
  const options = { ...request, positive, window, prefix: prefix ?? namePrefix(pairs) };
  return { pairs, unlabelled: [], options };
}

/** The options that are set: absent ones must not hide a default. */
const given = (options: NiftiDatasetOptions): NiftiDatasetOptions =>
  Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as NiftiDatasetOptions;

async function inspectVolume(pair: VolumePair, options: Resolved): Promise<Volume> {
  const header = await readNiftiHeader(pair.image);
  const channel = options.channel ?? 0;
  const isGiven = options.channel !== undefined;
  if (channel >= header.channels || (header.channels > 1 && !isGiven)) {
    throw new UsageError(
      `Expected --channel from 0 to ${header.channels - 1} for ${pair.image}, which holds ${header.channels} ` +
        `channel${header.channels > 1 ? 's' : ''}, but received ${isGiven ? channel : 'none'}.`,
    );
  }
  const geometry = sliceGeometry(header, options.axis);
  if (pair.labels === undefined) return { ...pair, header, geometry, channel };
  const labelHeader = await readNiftiHeader(pair.labels);
  checkSameGrid(header, labelHeader, options.ignoreAffine);
  return { ...pair, header, labelHeader, geometry, channel };
}

/** Writes the slices of one volume; adds them to `slices` and its labels to `found`. */
async function sliceVolume(
  volume: Volume,
  options: Resolved,
  naming: { prefix: string; digits: number },
  writer: SliceWriter,
  slices: LabelledSlice[],
  found: Set<number>,
): Promise<VolumeReport> {
  const { header, labelHeader, geometry, patient } = volume;
  const values = await readNiftiVoxels(header, volume.channel);
  const window = resolveWindow(values, options.window, volume.image);
  const labels = labelHeader && (await readPositiveMask(labelHeader, options.positive));
  for (const label of labels?.found ?? []) found.add(label);

  const size = { height: geometry.rows.size, width: geometry.columns.size };
  const plane = new Float32Array(size.height * size.width);
  const image = new Uint8Array(plane.length);
  const mask = new Uint8Array(plane.length);
  const counts: Record<Verdict, number> = { positive: 0, negative: 0, small: 0, empty: 0 };
  for (let index = 0; index < geometry.slices.size; index++) {
    takeSlice(values, geometry, index, plane);
    applyWindow(plane, window, image);
    if (labels) takeSlice(labels.data, geometry, index, mask);
    const area = mask.reduce((sum, v) => sum + v, 0);
    const verdict = judgeSlice(image, area, options);
    counts[verdict]++;
    if (verdict === 'small' || verdict === 'empty') continue;
    const positive = verdict === 'positive';
    // Too little to call the slice positive is not nothing: such pixels count neither way.
    if (!positive && area > 0) for (let i = 0; i < mask.length; i++) if (mask[i] === 1) mask[i] = MASK_IGNORE;
    const name = `${naming.prefix}_${patient}_${String(index).padStart(naming.digits, '0')}_${positive ? 1 : 0}`;
    writer.write(name, { data: image, ...size }, labels && { data: mask, ...size });
    slices.push({ patient, positive });
  }
  return reportVolume(volume, window, counts);
}

function checkOutcome(
  options: Resolved,
  { slices, hasMasks }: NiftiDatasetSummary,
  found: Set<number>,
): void {
  if (slices.length === 0) {
    throw new UsageError(
      `Expected slices with tissue for ${options.input} but received none under --empty ${options.empty}. ` +
        'Check --window, or keep all slices with --empty keep.',
    );
  }
  if (!hasMasks || slices.some((slice) => slice.positive)) return;
  const wanted = options.positive.length > 0 ? `label ${options.positive.join(' or ')}` : 'any label but 0';
  const labels = [...found].sort((a, b) => a - b);
  const shown = labels.slice(0, 20).join(', ') + (labels.length > 20 ? ', ...' : '');
  const present = labels.length === 0 ? 'only 0' : `the labels ${shown}`;
  throw new UsageError(
    `Expected a slice with at least ${options.minArea} pixels of ${wanted} for ${options.labels ?? options.input} but received ` +
      `none; it holds ${present}. Check --positive and --min_area.`,
  );
}

function sidecar(options: Resolved, { prefix, slices, volumes }: NiftiDatasetSummary): object {
  return {
    source: 'nifti',
    prefix,
    axis: options.axis,
    channel: options.channel ?? 0,
    positive_labels: options.positive.length > 0 ? options.positive : 'all but 0',
    window: options.window,
    min_area: options.minArea,
    small: options.small,
    empty: options.empty,
    ...countSlices(slices),
    slice_split: suggestSliceSplit(slices)?.sliceSplit,
    volumes,
  };
}
