/** What a dataset's `dataset.json` says about each volume, so that slices can be mapped back onto it. */

import { basename, join } from 'node:path';
import { orientationCode } from './affine.js';
import type { IntensityWindow } from './intensity-window.js';
import type { NiftiHeader } from './nifti-file.js';
import type { OutputAxis, SliceGeometry } from './slice-geometry.js';
import type { Verdict } from './slice-selection.js';
import type { VolumePair } from './volume-pairs.js';

/** A volume that passed the checks, with what is known from its header. */
export interface Volume extends VolumePair {
  header: NiftiHeader;
  labelHeader?: NiftiHeader;
  geometry: SliceGeometry;
  channel: number;
}

/** What became of one volume; stands in `dataset.json`. Spacing and window in the volume's own units (mm). */
export interface VolumeReport {
  patient: string;
  image: string;
  labels?: string;
  orientation: string;
  affine_from: NiftiHeader['affineFrom'];
  affine: number[][];
  shape: number[];
  spacing_mm: { slice: number; row: number; column: number };
  /** For each axis of the output, the stored voxel axis it walks along, and its direction. */
  axes: Record<'slice' | 'row' | 'column', { voxel_axis: number; reversed: boolean }>;
  window: [number, number];
  written: number;
  positives: number;
  skipped: { small: number; empty: number };
}

/** @param counts slices by what was decided about them */
export function reportVolume(
  { header, labels, geometry, patient, folder = '' }: Volume,
  window: IntensityWindow,
  counts: Record<Verdict, number>,
): VolumeReport {
  const origin = ({ voxelAxis, reversed }: OutputAxis) => ({ voxel_axis: voxelAxis, reversed });
  const { slices, rows, columns } = geometry;
  return {
    patient,
    image: join(folder, basename(header.path)),
    ...(labels && { labels: join(folder, basename(labels)) }),
    orientation: orientationCode(header.affine),
    affine_from: header.affineFrom,
    affine: header.affine,
    shape: header.dims,
    spacing_mm: { slice: slices.spacing, row: rows.spacing, column: columns.spacing },
    axes: { slice: origin(slices), row: origin(rows), column: origin(columns) },
    window: [...window],
    written: counts.positive + counts.negative,
    positives: counts.positive,
    skipped: { small: counts.small, empty: counts.empty },
  };
}
