/** Reads a label volume (a mask or an atlas) as a mask of the labels that count as positive. */

import { UsageError } from '../config/errors.js';
import { gridDisplacement } from './affine.js';
import { type NiftiHeader, voxelBlocks, voxelCount } from './nifti-file.js';

/** Labels stored as floats may be off by the rounding of a scale factor; probabilities are off by more. */
const ROUNDING = 1e-3;

/** A mask on the volume's grid, and which labels there were. */
export interface PositiveMask {
  /** 1 where the label is positive, else 0; same order as the volume. */
  data: Uint8Array;
  /** Every label but 0 that occurs. */
  found: Set<number>;
}

/**
 * Checks that labels lie on the grid of their volume.
 * @param ignoreAffine compare the numbers of voxels only
 * @throws UsageError that says how the grids differ
 */
export function checkSameGrid(image: NiftiHeader, labels: NiftiHeader, ignoreAffine: boolean): void {
  if (labels.channels !== 1) {
    throw new UsageError(
      `Expected one channel for the labels ${labels.path} but received ${labels.channels}. ` +
        'Labels are one volume of whole numbers.',
    );
  }
  if (image.dims.some((size, axis) => size !== labels.dims[axis])) {
    throw new UsageError(
      `Expected labels of ${image.dims.join(' x ')} voxels, the grid of ${image.path}, for ${labels.path} ` +
        `but received ${labels.dims.join(' x ')}. Resample the labels to the volume's grid (nearest neighbour).`,
    );
  }
  const displacement = gridDisplacement(image.affine, labels.affine, image.dims);
  // Half a voxel is what nearest-neighbour resampling would forgive. NaN is no agreement either.
  if (!ignoreAffine && !(displacement <= 0.5 * Math.min(...image.spacing))) {
    throw new UsageError(
      `Expected labels on the grid of ${image.path} for ${labels.path} but received the same number of voxels ` +
        `placed up to ${displacement.toFixed(1)} mm apart (the affines differ). Resample the labels to the ` +
        `volume's grid, or, if only the header is wrong, add --ignore_affine.`,
    );
  }
}

/**
 * @param positive labels that count; empty: every label but 0
 * @throws UsageError for voxels that are no whole numbers
 */
export async function readPositiveMask(
  header: NiftiHeader,
  positive: readonly number[],
): Promise<PositiveMask> {
  const wanted = new Set(positive);
  const found = new Set<number>();
  const data = new Uint8Array(voxelCount(header));
  let last = 0;
  let lastIsPositive = false;
  for await (const { start, values } of voxelBlocks(header, 0)) {
    for (let i = 0; i < values.length; i++) {
      const label = Math.round(values[i]!);
      if (!(Math.abs(values[i]! - label) <= ROUNDING)) throw noLabel(header.path, values[i]!);
      // Neighbours mostly share their label: one comparison instead of two look-ups.
      if (label !== last) {
        last = label;
        if (label !== 0) found.add(label);
        lastIsPositive = label !== 0 && (wanted.size === 0 || wanted.has(label));
      }
      if (lastIsPositive) data[start + i] = 1;
    }
  }
  return { data, found };
}

const noLabel = (path: string, value: number): UsageError =>
  new UsageError(
    `Expected whole label numbers for ${path} but received ${value}. ` +
      'Turn a probability map into labels by a threshold first.',
  );
