import type { PixelImage } from '../datasets/sample.js';
import { IMAGE_MEAN, IMAGE_STD } from '../tensor/image-statistics.js';
import type { Random } from './random.js';
import { rescaleWindow, type Window } from './rescale.js';

export interface AugmentOptions {
  /** Side of the square crop, in pixels. */
  cropSize: number;
  /** Bounds of the scale factor; without it images keep their size. */
  rescaleRange?: readonly [number, number] | undefined;
  /** Mirror left and right with probability one half. Default true. */
  fliplr?: boolean;
  /** Intensities are multiplied by a factor from 1 - jitter to 1 + jitter. Default 0: none is drawn. */
  intensityJitter?: number;
}

/** Every random decision about one image; `applyAugmentation` has no others. */
export interface Augmentation {
  /** Size after rescaling. */
  height: number;
  width: number;
  flip: boolean;
  /** Where the rescaled image lies in the zero-padded canvas, which is as large as image and crop. */
  padTop: number;
  padLeft: number;
  /** Where the crop lies in that canvas. */
  cropTop: number;
  cropLeft: number;
  /** Factor on the intensities; what exceeds 255 is cut off. */
  gain: number;
}

/**
 * Draws rescale, flip, padding and crop for an image of `height` x `width` (random_scaling, random_fliplr
 * and random_crop of the original). A scaled side is `int(scale * side)`, and at least one pixel.
 */
export function drawAugmentation(
  random: Random,
  height: number,
  width: number,
  options: AugmentOptions,
): Augmentation {
  const { cropSize, rescaleRange, fliplr = true, intensityJitter = 0 } = options;
  const scale = rescaleRange ? random.uniform(rescaleRange[0], rescaleRange[1]) : 1;
  const h = Math.max(1, Math.trunc(scale * height));
  const w = Math.max(1, Math.trunc(scale * width));
  const flip = fliplr && random.next() > 0.5;
  const canvasHeight = Math.max(cropSize, h);
  const canvasWidth = Math.max(cropSize, w);
  return {
    height: h,
    width: w,
    flip,
    padTop: random.below(canvasHeight - h + 1),
    padLeft: random.below(canvasWidth - w + 1),
    cropTop: random.below(canvasHeight - cropSize + 1),
    cropLeft: random.below(canvasWidth - cropSize + 1),
    gain: intensityJitter > 0 ? random.uniform(1 - intensityJitter, 1 + intensityJitter) : 1,
  };
}

/** The part of the crop that shows the image and not padding, in crop coordinates, half-open. */
export function imageBox(a: Augmentation, cropSize: number): Window {
  return {
    y0: Math.max(a.padTop - a.cropTop, 0),
    y1: Math.min(a.padTop + a.height - a.cropTop, cropSize),
    x0: Math.max(a.padLeft - a.cropLeft, 0),
    x1: Math.min(a.padLeft + a.width - a.cropLeft, cropSize),
  };
}

/**
 * Writes the augmented, normalised crop of `image` to `out[offset ..]` as [3, cropSize, cropSize].
 * Padding is zero before normalisation, as in the original, so it is -mean/std after it.
 *
 * @returns the image box: see `imageBox`
 */
export function applyAugmentation(
  image: PixelImage,
  augmentation: Augmentation,
  cropSize: number,
  out: Float32Array,
  offset: number,
): Window {
  const { height, width, flip, padTop, padLeft, cropTop, cropLeft, gain } = augmentation;
  const box = imageBox(augmentation, cropSize);
  // The box in coordinates of the rescaled image: mirrored columns come from the other side.
  const left = box.x0 + cropLeft - padLeft;
  const right = box.x1 + cropLeft - padLeft;
  const top = box.y0 + cropTop - padTop;
  const visible: Window = {
    y0: top,
    y1: top + box.y1 - box.y0,
    x0: flip ? width - right : left,
    x1: flip ? width - left : right,
  };
  const plane = cropSize * cropSize;
  const covered = box.y1 - box.y0 === cropSize && box.x1 - box.x0 === cropSize;
  for (let c = 0; c < 3 && !covered; c++) {
    out.fill(normalizeValue(0, c), offset + c * plane, offset + (c + 1) * plane);
  }
  const region = scaleIntensities(rescaleWindow(image, height, width, visible), gain);
  writeNormalized(region, { out, offset, rowLength: cropSize, plane, top: box.y0, left: box.x0, flip });
  return box;
}

/** Scanners and sequences differ in gain: this makes one patient's look less telling. Bytes stay bytes. */
function scaleIntensities(image: PixelImage, gain: number): PixelImage {
  if (gain === 1) return image;
  const { data } = image;
  const scaled =
    data instanceof Uint8Array
      ? Uint8Array.from(data, (value) => Math.min(255, Math.round(value * gain)))
      : data.map((value) => value * gain);
  return { ...image, data: scaled };
}

/** (value - mean) / std of channel c, rounded to float32 once. */
function normalizeValue(value: number, c: number): number {
  return Math.fround((value - IMAGE_MEAN[c]!) / IMAGE_STD[c]!);
}

/** `normalizeValue` of every byte for the three channels. */
const BYTE_TABLES = [0, 1, 2].map((c) =>
  Float32Array.from({ length: 256 }, (_, value) => normalizeValue(value, c)),
);

interface PlanarTarget {
  out: Float32Array;
  offset: number;
  rowLength: number;
  plane: number;
  top: number;
  left: number;
  flip: boolean;
}

/** Writes interleaved pixels as three normalised planes at (top, left), mirrored when `flip`. */
function writeNormalized(image: PixelImage, target: PlanarTarget): void {
  const { data, height, width } = image;
  const { out, offset, rowLength, plane, top, left, flip } = target;
  const channels = image.channels ?? 3;
  const step = flip ? -1 : 1;
  for (let c = 0; c < 3; c++) {
    const table = BYTE_TABLES[c]!;
    const mean = IMAGE_MEAN[c]!;
    const std = IMAGE_STD[c]!;
    const isByte = data instanceof Uint8Array;
    let p = channels === 1 ? 0 : c;
    for (let y = 0; y < height; y++) {
      let o = offset + c * plane + (top + y) * rowLength + left + (flip ? width - 1 : 0);
      for (let x = 0; x < width; x++, p += channels, o += step) {
        out[o] = isByte ? table[data[p]!]! : (data[p]! - mean) / std;
      }
    }
  }
}

/** Writes the whole image, normalised, to `out[offset ..]` as [3, height, width]: what evaluation uses. */
export function writeNormalizedImage(image: PixelImage, out: Float32Array, offset = 0): void {
  const { height, width } = image;
  writeNormalized(image, {
    out,
    offset,
    rowLength: width,
    plane: height * width,
    top: 0,
    left: 0,
    flip: false,
  });
}

/** (image - mean) / std with ImageNet statistics: [3, height, width] (normalize_img of the original). */
export function normalizeImage(image: PixelImage): Float32Array {
  const out = new Float32Array(3 * image.height * image.width);
  writeNormalizedImage(image, out);
  return out;
}
