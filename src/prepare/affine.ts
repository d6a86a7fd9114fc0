/**
 * Voxel-to-world geometry. World axes are NIfTI's: x to the patient's right, y to anterior, z to superior,
 * in millimetres.
 */

/** Three rows of four: world = A[:, :3] . (i, j, k) + A[:, 3]. */
export type Affine = number[][];

/** The voxel axis (0, 1, 2) that runs along a world axis, and whether with it (1) or against it (-1). */
export interface AxisAlignment {
  voxelAxis: number;
  sign: 1 | -1;
}

/** Rotation given by a unit quaternion (b, c, d), as in the NIfTI-1 standard's "method 2". */
export function quaternionAffine(
  [b, c, d]: readonly [number, number, number],
  spacing: readonly [number, number, number],
  offset: readonly [number, number, number],
  qfac: 1 | -1,
): Affine {
  // The stored parts are rounded: their squares may sum to slightly more than one.
  const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
  const rotation = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ];
  const scale = [spacing[0], spacing[1], spacing[2] * qfac];
  return rotation.map((row, r) => [...row.map((value, axis) => value * scale[axis]!), offset[r]!]);
}

/**
 * For world x, y and z the voxel axis nearest to it. Oblique volumes are not resampled: each voxel axis is
 * used once, the best match first.
 *
 * @returns undefined when the affine is singular or not finite
 */
export function alignAxes(affine: Affine): AxisAlignment[] | undefined {
  const lengths = [0, 1, 2].map((axis) =>
    Math.hypot(affine[0]![axis]!, affine[1]![axis]!, affine[2]![axis]!),
  );
  if (!lengths.every((length) => Number.isFinite(length) && length > 0)) return undefined;
  const aligned: (AxisAlignment | undefined)[] = [undefined, undefined, undefined];
  const used = new Set<number>();
  for (let round = 0; round < 3; round++) {
    let best = { cosine: 0, world: -1, voxelAxis: -1 };
    for (let world = 0; world < 3; world++) {
      for (let voxelAxis = 0; voxelAxis < 3; voxelAxis++) {
        if (aligned[world] || used.has(voxelAxis)) continue;
        const cosine = affine[world]![voxelAxis]! / lengths[voxelAxis]!;
        if (Math.abs(cosine) > Math.abs(best.cosine)) best = { cosine, world, voxelAxis };
      }
    }
    if (best.world < 0) return undefined;
    aligned[best.world] = { voxelAxis: best.voxelAxis, sign: best.cosine > 0 ? 1 : -1 };
    used.add(best.voxelAxis);
  }
  return aligned as AxisAlignment[];
}

/** Where the voxel axes point, as in "LAS": the field's three-letter code; "???" when not known. */
export function orientationCode(affine: Affine): string {
  const code = ['?', '?', '?'];
  const letters = ['RL', 'AP', 'SI'];
  alignAxes(affine)?.forEach(({ voxelAxis, sign }, world) => {
    code[voxelAxis] = letters[world]![sign > 0 ? 0 : 1]!;
  });
  return code.join('');
}

/** The largest distance in mm between where two affines put the same corner voxel of a grid. */
export function gridDisplacement(a: Affine, b: Affine, dims: readonly number[]): number {
  let largest = 0;
  for (let corner = 0; corner < 8; corner++) {
    const voxel = [0, 1, 2].map((axis) => ((corner >> axis) & 1) * (dims[axis]! - 1));
    const shift = [0, 1, 2].map((row) => {
      const at = (m: Affine): number => voxel.reduce((sum, v, axis) => sum + m[row]![axis]! * v, m[row]![3]!);
      return at(a) - at(b);
    });
    largest = Math.max(largest, Math.hypot(...shift));
  }
  return largest;
}
