import { UsageError } from '../config/errors.js';
import { type NpyArray, readNpy } from '../io/npy.js';
import type { Warn } from './dataset.js';
import { type IntensityRule, mapIntensity } from './intensity.js';
import { MASK_IGNORE, type Mask, type PixelImage } from './sample.js';

/** Reads an array; a fault of the file is a fault of the user's data, whatever its kind. */
function readArray(path: string): NpyArray {
  try {
    return readNpy(path);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

interface Grid {
  height: number;
  width: number;
  channels: 1 | 3;
}

/** Reads a shape as a grid of pixels; undefined when it is none. */
function gridOf(shape: readonly number[]): Grid | undefined {
  if (shape.some((side) => side === 0)) return undefined;
  const [a, b, c] = shape as [number, number, number];
  if (shape.length === 2) return { height: a, width: b, channels: 1 };
  if (shape.length !== 3) return undefined;
  if (c === 1 || c === 3) return { height: a, width: b, channels: c };
  return a === 1 ? { height: b, width: c, channels: 1 } : undefined;
}

interface Values {
  data: Float32Array;
  min: number;
  max: number;
  whole: boolean;
}

/** Values as float32, with their range. */
function valuesOf(array: NpyArray, path: string): Values {
  const source = array.data;
  const data = new Float32Array(source.length);
  let min = Infinity;
  let max = -Infinity;
  let whole = true;
  for (let i = 0; i < data.length; i++) {
    data[i] = Number(source[i]);
    const value = data[i]!;
    if (!Number.isFinite(value)) {
      throw new UsageError(
        `Expected finite values for ${path} but received ${value} at element ${i}. ` +
          'Replace NaN and infinite values, or remove the slice.',
      );
    }
    if (value < min) min = value;
    if (value > max) max = value;
    if (value !== Math.trunc(value)) whole = false;
  }
  return { data, min, max, whole };
}

/**
 * Reads a slice: (H, W), (H, W, 1), (1, H, W) grey or (H, W, 3) RGB, of any numeric dtype and byte order.
 *
 * Whole numbers within 0..255 become 8-bit pixels whatever the file's dtype, so that a slice gives the same
 * numbers in any dtype; all other values stay as they are, in float32. (The original casts to uint8 before
 * it rescales, which cuts fractions off and wraps values outside 0..255.)
 *
 * @param intensity how values become 0..255; `raw`, the default, only warns where they are not
 * @throws UsageError that names the file: unreadable, another shape, NaN or infinite values
 */
export function readPixels(path: string, warn: Warn, intensity: IntensityRule = 'raw'): PixelImage {
  const array = readArray(path);
  const grid = gridOf(array.shape);
  if (!grid) {
    throw new UsageError(
      `Expected an array of shape (H, W), (H, W, 1), (1, H, W) or (H, W, 3) for ${path} but received ` +
        `(${array.shape.join(', ')}). Save one slice per file.`,
    );
  }
  const isBytes = array.data instanceof Uint8Array && array.dtype === 'uint8';
  if (isBytes && intensity === 'raw') return { data: array.data as Uint8Array, ...grid };
  const { data, min, max, whole } = valuesOf(array, path);
  if (intensity !== 'raw') return { data: mapIntensity(data, intensity), ...grid };
  if (min < 0 || max > 255) {
    warn(
      'range',
      `${path} holds values from ${min} to ${max}: the network expects 0..255, scaled alike for all slices. ` +
        'They are used as they are; set dataset.intensity to percentile or a window [low, high].',
    );
  } else if (max > 0 && max <= 1) {
    warn(
      'range',
      `${path} holds values from ${min} to ${max}: the network expects 0..255, and this slice looks black ` +
        'to it. They are used as they are; set dataset.intensity: [0, 1].',
    );
  }
  return { data: whole && min >= 0 && max <= 255 ? Uint8Array.from(data) : data, ...grid };
}

/**
 * Reads a mask: (H, W) or with one singleton axis, of any numeric dtype, whole numbers: 0 background,
 * 1 .. numClasses - 1 classes, `ignoreIndex` and 255 ignored (both become 255).
 *
 * @throws UsageError that names the file
 */
export function readMaskFile(path: string, numClasses: number, ignoreIndex: number): Mask {
  const array = readArray(path);
  const grid = gridOf(array.shape);
  if (grid?.channels !== 1) {
    throw new UsageError(
      `Expected an array of shape (H, W) for mask ${path} but received (${array.shape.join(', ')}).`,
    );
  }
  return checkedMask(
    { data: array.data, height: grid.height, width: grid.width },
    numClasses,
    ignoreIndex,
    path,
  );
}

/**
 * Class numbers as a mask: what is ignored becomes 255.
 * @param path the mask's file, for messages
 * @throws UsageError for a value that is no class
 */
export function checkedMask(
  values: { data: ArrayLike<number | bigint>; height: number; width: number },
  numClasses: number,
  ignoreIndex: number,
  path: string,
): Mask {
  const data = new Uint8Array(values.data.length);
  for (let i = 0; i < data.length; i++) {
    const value = Number(values.data[i]);
    const ignored = value === ignoreIndex || value === MASK_IGNORE;
    if (!ignored && !(Number.isInteger(value) && value >= 0 && value < numClasses)) {
      throw new UsageError(
        `Expected class numbers 0 to ${numClasses - 1}, or ${ignoreIndex} to ignore, for mask ${path} but received ` +
          `${value}. Renumber the mask or raise dataset.num_classes.`,
      );
    }
    data[i] = ignored ? MASK_IGNORE : value;
  }
  return { data, height: values.height, width: values.width };
}

/** @throws UsageError that names both files when a mask has another size than its image */
export function requireSameSize(mask: Mask, maskPath: string, image: PixelImage, imagePath: string): void {
  if (mask.height === image.height && mask.width === image.width) return;
  throw new UsageError(
    `Expected a mask of ${image.height} x ${image.width} pixels, the size of ${imagePath}, ` +
      `for ${maskPath} but received ${mask.height} x ${mask.width}. Make the mask again on the image's grid.`,
  );
}
