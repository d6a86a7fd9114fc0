/** Cuts a volume into slices, turned as they are shown in radiology. */

import { UsageError } from '../config/errors.js';
import { alignAxes } from './affine.js';
import type { NiftiHeader } from './nifti-file.js';

/**
 * Anatomical planes are turned to the usual display: patient's right at the left of the picture, anterior
 * (axial) or superior (coronal, sagittal) at its top, anterior at the left of sagittal ones. `x`, `y`, `z` are
 * the voxel axes as stored, never turned.
 */
export const SLICE_AXES = ['axial', 'coronal', 'sagittal', 'x', 'y', 'z'] as const;
export type SliceAxis = (typeof SLICE_AXES)[number];

/** One axis of the output in terms of the stored volume. */
export interface OutputAxis {
  voxelAxis: number;
  reversed: boolean;
  size: number;
  /** Millimetres between neighbours. */
  spacing: number;
  /** Position of the first element in the volume's array, and the step to the next. */
  start: number;
  step: number;
}

/** How to walk the volume: slices, then rows, then columns. */
export interface SliceGeometry {
  slices: OutputAxis;
  rows: OutputAxis;
  columns: OutputAxis;
}

// World axis (0 right, 1 anterior, 2 superior) and direction of slices, rows and columns.
const DISPLAY = {
  axial: [
    [2, 1],
    [1, -1],
    [0, -1],
  ],
  coronal: [
    [1, 1],
    [2, -1],
    [0, -1],
  ],
  sagittal: [
    [0, 1],
    [2, -1],
    [1, -1],
  ],
} as const;

const STORED = { x: [0, 2, 1], y: [1, 2, 0], z: [2, 1, 0] } as const;

/** @throws UsageError when a plane is asked of a volume whose orientation is unusable */
export function sliceGeometry(header: NiftiHeader, axis: SliceAxis): SliceGeometry {
  if (axis === 'x' || axis === 'y' || axis === 'z') {
    const [slices, rows, columns] = STORED[axis].map((voxelAxis) => outputAxis(header, voxelAxis, false));
    return { slices: slices!, rows: rows!, columns: columns! };
  }
  const aligned = alignAxes(header.affine);
  if (aligned === undefined) {
    throw new UsageError(
      `Expected a usable orientation (${header.affineFrom}) for ${header.path} but received a singular one. ` +
        'Cut along a stored axis instead: --axis x, y or z.',
    );
  }
  const [slices, rows, columns] = DISPLAY[axis].map(([world, direction]) => {
    const { voxelAxis, sign } = aligned[world]!;
    return outputAxis(header, voxelAxis, sign !== direction);
  });
  return { slices: slices!, rows: rows!, columns: columns! };
}

function outputAxis({ dims, spacing }: NiftiHeader, voxelAxis: number, reversed: boolean): OutputAxis {
  const stride = [1, dims[0], dims[0] * dims[1]][voxelAxis]!;
  const size = dims[voxelAxis]!;
  const start = reversed ? (size - 1) * stride : 0;
  return {
    voxelAxis,
    reversed,
    size,
    spacing: spacing[voxelAxis]!,
    start,
    step: reversed ? -stride : stride,
  };
}

/** Copies slice `index` into `out`, [rows, columns]. */
export function takeSlice<T extends Float32Array | Uint8Array>(
  volume: T,
  { slices, rows, columns }: SliceGeometry,
  index: number,
  out: T,
): void {
  const first = slices.start + index * slices.step + rows.start + columns.start;
  for (let r = 0, i = 0; r < rows.size; r++) {
    let from = first + r * rows.step;
    for (let c = 0; c < columns.size; c++, from += columns.step) out[i++] = volume[from]!;
  }
}
