import { hausdorff95, type PixelSpacing } from './distance.js';
import { CAM_THRESHOLD_KEYS, IGNORE_INDEX } from './localisation.js';

/**
 * How a map of one class lies on the mask of one image: numbers from which every localisation score follows at every
 * threshold. Kept for each image, so that intervals can resample patients and a report can show the best and worst.
 *
 * A soft map (CAM, affinity-refined CAM, a head's probability) has an entry for each of the thresholds "0.05" to
 * "0.95"; a label map has one entry and neither `hit` nor `pixelAp`.
 */
export interface MapMeasurement {
  /** Pixels that took part: those of the mask that are not ignored. */
  pixels: number;
  /** Pixels of the class in the mask. */
  actual: number;
  /** `[thresholds]`: pixels predicted, and those of them that are right. */
  predicted: number[];
  intersection: number[];
  /** Whether the maximum lies in the mask; null without one. */
  hit: boolean | null;
  /** Average precision over the pixels; null when the mask is empty. */
  pixelAp: number | null;
  /** `[thresholds]`, pixels: null where not measured, or one side is empty. Null altogether when not asked for. */
  hd95: (number | null)[] | null;
  /** The same in millimetres; null altogether where the spacing is not known. */
  hd95Mm: (number | null)[] | null;
  /** Pixels of the map that are NaN. Scores of such maps do not exist. */
  notNumbers: number;
}

/** Asks for surface distances, which cost more than all the rest. */
export interface SurfaceOptions {
  height: number;
  width: number;
  /** Millimetres, where known. */
  spacing?: PixelSpacing;
  /** Keys of the thresholds to measure at, "0.05" to "0.95"; all when left out. A label map has none. */
  thresholds?: readonly string[];
}

export interface MeasureOptions {
  /** Mask value of the class; 1 when left out. */
  classIndex?: number;
  surface?: SurfaceOptions;
}

/**
 * Pixels fall into 1,001 bins between the float32 edges 0.000, 0.001, ... 0.999, as in Choe et al., "Evaluating
 * Weakly Supervised Object Localization Methods Right" (CVPR 2020): bin 0 is 0 (and below), bin 1000 above 0.999.
 */
const BINS = 1000;
const EDGES = Float32Array.from({ length: BINS }, (_, k) => k / BINS);
const THRESHOLD_BINS = CAM_THRESHOLD_KEYS.map((key) => Math.round(Number(key) * BINS));

/** How many edges lie strictly below the value; NaN is above none. */
function binOf(value: number): number {
  if (!(value > 0)) return 0;
  if (value > EDGES[BINS - 1]!) return BINS;
  // Within one of the answer; the float32 edges decide.
  let bin = (value * BINS) | 0;
  while (bin > 0 && value <= EDGES[bin - 1]!) bin--;
  while (value > EDGES[bin]!) bin++;
  return bin;
}

/**
 * Measures a soft map. Predicted at threshold t is `map > t`, compared in float32.
 *
 * - Mask pixels of value 255 take part in nothing; for surface distances they are outside both regions.
 * - Of equal maxima the first in row-major order points, as `argmax` does; there is no tolerance around the object.
 * - Average precision takes values of one bin (a thousandth) as equal.
 *
 * @param map `[height * width]`, the class's map in [0, 1], at the size of the mask
 * @param mask `[height * width]`, class indices
 * @throws RangeError for sizes that differ or unknown thresholds
 */
export function measureMap(
  map: Float32Array,
  mask: Uint8Array,
  options: MeasureOptions = {},
): MapMeasurement {
  const { classIndex = 1, surface } = options;
  checkSizes(map, mask, surface);
  const inside = new Uint32Array(BINS + 1);
  const outside = new Uint32Array(BINS + 1);
  let notNumbers = 0;
  let maximum = Number.NEGATIVE_INFINITY;
  let maximumAt = -1;
  for (let i = 0; i < map.length; i++) {
    const truth = mask[i]!;
    if (truth === IGNORE_INDEX) continue;
    const value = map[i]!;
    if (value > maximum) {
      maximum = value;
      maximumAt = i;
    }
    // biome-ignore lint/suspicious/noSelfCompare: NaN alone differs from itself, and this is the innermost loop
    if (value !== value) notNumbers++;
    if (truth === classIndex) inside[binOf(value)]!++;
    else outside[binOf(value)]!++;
  }
  const actual = sum(inside);
  const counts = countsAbove(inside, outside);
  const at = THRESHOLD_BINS.map((bin) => bin + 1);
  const regions = (thresholds: readonly string[] = CAM_THRESHOLD_KEYS) => {
    for (const key of thresholds) checkThreshold(key);
    return CAM_THRESHOLD_KEYS.map((key) =>
      thresholds.includes(key) ? regionAbove(map, mask, Math.fround(Number(key))) : undefined,
    );
  };
  return {
    pixels: actual + sum(outside),
    actual,
    predicted: at.map((bin) => counts.predicted[bin]!),
    intersection: at.map((bin) => counts.intersection[bin]!),
    hit: actual > 0 ? mask[maximumAt] === classIndex : null,
    pixelAp: actual > 0 ? averagePrecision(counts, actual) : null,
    ...surfaceDistances(surface && regions(surface.thresholds), mask, classIndex, surface),
    notNumbers,
  };
}

/**
 * Measures a label map: predicted is `labels == classIndex`. The rest is as for {@link measureMap}.
 *
 * @param labels `[height * width]`, class indices
 */
export function measureLabels(
  labels: ArrayLike<number>,
  mask: Uint8Array,
  options: MeasureOptions = {},
): MapMeasurement {
  const { classIndex = 1, surface } = options;
  checkSizes(labels, mask, surface);
  let [pixels, actual, predicted, intersection, notNumbers] = [0, 0, 0, 0, 0];
  for (let i = 0; i < mask.length; i++) {
    if (mask[i] === IGNORE_INDEX) continue;
    pixels++;
    if (Number.isNaN(labels[i]!)) notNumbers++;
    const isActual = mask[i] === classIndex;
    if (isActual) actual++;
    if (labels[i] !== classIndex) continue;
    predicted++;
    if (isActual) intersection++;
  }
  return {
    pixels,
    actual,
    predicted: [predicted],
    intersection: [intersection],
    hit: null,
    pixelAp: null,
    ...surfaceDistances(surface && [regionOf(labels, mask, classIndex)], mask, classIndex, surface),
    notNumbers,
  };
}

interface BinCounts {
  /** `[bins]`: pixels in this bin or a higher one. */
  predicted: Uint32Array;
  intersection: Uint32Array;
}

function countsAbove(inside: Uint32Array, outside: Uint32Array): BinCounts {
  const predicted = new Uint32Array(inside.length);
  const intersection = new Uint32Array(inside.length);
  let [all, right] = [0, 0];
  for (let bin = inside.length - 1; bin >= 0; bin--) {
    right += inside[bin]!;
    all += inside[bin]! + outside[bin]!;
    intersection[bin] = right;
    predicted[bin] = all;
  }
  return { predicted, intersection };
}

/** Sum of (R_n - R_n-1) P_n over falling thresholds, as scikit-learn's `average_precision_score`. */
function averagePrecision({ predicted, intersection }: BinCounts, actual: number): number {
  let sum = 0;
  for (let bin = BINS; bin >= 0; bin--) {
    const gained = intersection[bin]! - (intersection[bin + 1] ?? 0);
    if (gained > 0) sum += (gained * intersection[bin]!) / predicted[bin]!;
  }
  return sum / actual;
}

function surfaceDistances(
  regions: (Uint8Array | undefined)[] | undefined,
  mask: Uint8Array,
  classIndex: number,
  surface: SurfaceOptions | undefined,
): Pick<MapMeasurement, 'hd95' | 'hd95Mm'> {
  if (surface === undefined || regions === undefined) return { hd95: null, hd95Mm: null };
  const { height, width, spacing } = surface;
  const truth = regionOf(mask, mask, classIndex);
  const measure = (by?: PixelSpacing) =>
    regions.map((region) => (region ? hausdorff95(region, truth, height, width, by) : null));
  const hd95 = measure();
  if (spacing === undefined) return { hd95, hd95Mm: null };
  const square = spacing[0] === spacing[1];
  const scale = (distance: number | null) => (distance === null ? null : distance * spacing[0]);
  return { hd95, hd95Mm: square ? hd95.map(scale) : measure(spacing) };
}

// Plain loops: a callback for each pixel costs several times as much as the comparison.
function regionAbove(map: Float32Array, mask: Uint8Array, threshold: number): Uint8Array {
  const region = new Uint8Array(map.length);
  for (let i = 0; i < map.length; i++) if (map[i]! > threshold && mask[i] !== IGNORE_INDEX) region[i] = 1;
  return region;
}

function regionOf(labels: ArrayLike<number>, mask: Uint8Array, classIndex: number): Uint8Array {
  const region = new Uint8Array(mask.length);
  for (let i = 0; i < mask.length; i++) {
    if (labels[i] === classIndex && mask[i] !== IGNORE_INDEX) region[i] = 1;
  }
  return region;
}

function sum(counts: Uint32Array): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** @throws RangeError for a key that is none of "0.05" to "0.95" */
export function checkThreshold(key: string): void {
  if (CAM_THRESHOLD_KEYS.includes(key)) return;
  throw new RangeError(`Expected a threshold from "0.05" to "0.95" in steps of 0.05 but received "${key}"`);
}

function checkSizes(map: ArrayLike<number>, mask: Uint8Array, surface?: SurfaceOptions): void {
  if (map.length !== mask.length) {
    throw new RangeError(
      `Expected as many pixels in the map as in the mask (${mask.length}) but received ${map.length}`,
    );
  }
  if (surface && surface.height * surface.width !== mask.length) {
    throw new RangeError(
      `Expected ${surface.height} x ${surface.width} pixels in the mask but received ${mask.length}`,
    );
  }
}
