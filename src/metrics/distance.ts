import { quantile } from './bootstrap.js';

/** Size of a pixel, height then width, in millimetres or any other unit. */
export type PixelSpacing = readonly [height: number, width: number];

/**
 * Exact Euclidean distance of every pixel centre to the nearest non-zero pixel, in linear time: the distance along
 * each column, then the lower envelope of parabolas along each row (Felzenszwalb and Huttenlocher, "Distance
 * Transforms of Sampled Functions", 2012). As scipy's `distance_transform_edt` of the inverted mask.
 *
 * @param mask `[height * width]`
 * @returns `[height * width]` in units of the spacing; Infinity everywhere when no pixel is set
 */
export function distanceTransform(
  mask: ArrayLike<number>,
  height: number,
  width: number,
  spacing: PixelSpacing = [1, 1],
): Float64Array {
  checkGrid(mask, height, width, spacing);
  const out = columnDistances(mask, height, width, spacing[0]);
  const squared = new Float64Array(width);
  const vertex = new Int32Array(width);
  /** From where on, in pixels, the parabola at the vertex is the lowest. */
  const start = new Float64Array(width);
  const pixel = spacing[1] ** 2;
  for (let row = 0; row < out.length; row += width) {
    let last = -1;
    for (let x = 0; x < width; x++) {
      squared[x] = out[row + x]! ** 2;
      if (squared[x] === Number.POSITIVE_INFINITY) continue;
      let from = Number.NEGATIVE_INFINITY;
      for (; last >= 0; last--) {
        const v = vertex[last]!;
        from = (x + v + (squared[x]! - squared[v]!) / (pixel * (x - v))) / 2;
        if (from > start[last]!) break;
        from = Number.NEGATIVE_INFINITY;
      }
      last++;
      vertex[last] = x;
      start[last] = from;
    }
    if (last < 0) continue;
    for (let x = 0, k = 0; x < width; x++) {
      while (k < last && start[k + 1]! < x) k++;
      const v = vertex[k]!;
      out[row + x] = Math.sqrt(squared[v]! + pixel * (x - v) ** 2);
    }
  }
  return out;
}

/** Distance to the nearest set pixel of the same column, by a sweep down and a sweep up. */
function columnDistances(mask: ArrayLike<number>, height: number, width: number, step: number): Float64Array {
  const out = new Float64Array(height * width);
  for (let x = 0; x < width; x++) {
    let steps = Number.POSITIVE_INFINITY;
    for (let i = x; i < out.length; i += width) {
      steps = mask[i] ? 0 : steps + 1;
      out[i] = steps * step;
    }
    steps = Number.POSITIVE_INFINITY;
    for (let i = out.length - width + x; i >= 0; i -= width) {
      steps = mask[i] ? 0 : steps + 1;
      out[i] = Math.min(out[i]!, steps * step);
    }
  }
  return out;
}

/**
 * 95th percentile Hausdorff distance between the borders of two regions: of the distances from each border pixel of
 * one to the nearest border pixel of the other the 95th percentile (linear, as numpy), and of the two directions the
 * larger. This is MONAI's `compute_hausdorff_distance(percentile=95)`; medpy's `hd95` pools both directions.
 *
 * A border pixel has a neighbour above, below, left or right that is outside; beyond the image is outside.
 *
 * @param a `[height * width]`, non-zero inside @param b the same of the other region
 * @returns null when either region is empty: there is no distance then
 */
export function hausdorff95(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  height: number,
  width: number,
  spacing: PixelSpacing = [1, 1],
): number | null {
  checkGrid(a, height, width, spacing);
  checkGrid(b, height, width, spacing);
  const box = commonBox(a, b, width);
  if (box === undefined) return null;
  const [borderA, borderB] = [border(a, width, box), border(b, width, box)];
  if (!borderA.includes(1) || !borderB.includes(1)) return null;
  const [distanceToA, distanceToB] = [borderA, borderB].map((one) =>
    distanceTransform(one, box.height, box.width, spacing),
  );
  return Math.max(percentile95(distanceToB!, borderA), percentile95(distanceToA!, borderB));
}

interface Box {
  top: number;
  left: number;
  height: number;
  width: number;
}

/** The smallest box around both regions: it holds every border pixel, so distances within it are exact. */
function commonBox(a: ArrayLike<number>, b: ArrayLike<number>, width: number): Box | undefined {
  let [top, bottom, left, right] = [-1, -1, width, -1];
  for (let row = 0, y = 0; row < a.length; row += width, y++) {
    let [first, last] = [0, width - 1];
    while (first < width && !a[row + first] && !b[row + first]) first++;
    if (first === width) continue;
    while (!a[row + last] && !b[row + last]) last--;
    if (top < 0) top = y;
    bottom = y;
    left = Math.min(left, first);
    right = Math.max(right, last);
  }
  return top < 0 ? undefined : { top, left, height: bottom - top + 1, width: right - left + 1 };
}

/** `[box.height * box.width]`, 1 at border pixels. Outside the box both regions end, as beyond the image. */
function border(region: ArrayLike<number>, width: number, box: Box): Uint8Array {
  const out = new Uint8Array(box.height * box.width);
  for (let y = 0, to = 0; y < box.height; y++) {
    for (let x = 0; x < box.width; x++, to++) {
      const i = (box.top + y) * width + box.left + x;
      if (!region[i]) continue;
      const inner = y > 0 && y < box.height - 1 && x > 0 && x < box.width - 1;
      if (!inner || !region[i - width] || !region[i + width] || !region[i - 1] || !region[i + 1]) out[to] = 1;
    }
  }
  return out;
}

function percentile95(distances: Float64Array, at: Uint8Array): number {
  const chosen = new Float64Array(at.length);
  let count = 0;
  for (let i = 0; i < at.length; i++) if (at[i] === 1) chosen[count++] = distances[i]!;
  return quantile(chosen.subarray(0, count).sort(), 0.95);
}

function checkGrid(mask: ArrayLike<number>, height: number, width: number, spacing: PixelSpacing): void {
  if (mask.length !== height * width) {
    throw new RangeError(`Expected ${height} x ${width} pixels but received ${mask.length}`);
  }
  if (!spacing.every((size) => size > 0 && Number.isFinite(size))) {
    throw new RangeError(`Expected two positive numbers for spacing but received ${spacing.join(', ')}`);
  }
}
