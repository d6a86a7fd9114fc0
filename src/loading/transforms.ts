import type { PixelImage } from '../datasets/sample.js';
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

/** Every random decision about one image; `augment` has no others. */
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

/** An image, or the part of one that its crop shows, before it is mirrored. */
export interface Placed {
  image: PixelImage;
  /** Where it lies in the crop as shown, that is after mirroring; as large as `image`. The rest is padding. */
  box: Window;
  mirrored: boolean;
}

/** Rescales `image`, and cuts out what the crop shows of it: of the pixels outside nothing is computed. */
export function augment(image: PixelImage, augmentation: Augmentation, cropSize: number): Placed {
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
  const shown = scaleIntensities(rescaleWindow(image, height, width, visible), gain);
  return { image: shown, box, mirrored: flip };
}

/** An image as evaluation sees it: all of it, in its own size. */
export function whole(image: PixelImage): Placed {
  return { image, box: { y0: 0, y1: image.height, x0: 0, x1: image.width }, mirrored: false };
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
