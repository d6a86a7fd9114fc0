/** Pixels of a batch: what workers write, and what pictures are drawn on. */
import { toRgb } from '../datasets/sample.js';
import { IMAGE_MEAN, IMAGE_STD } from '../tensor/image-statistics.js';
import type { Batch, BatchPixels } from './batch.js';
import { writeNormalized } from './normalize.js';
import type { Placed } from './transforms.js';

/** Images as one batch of `height` x `width`: bytes where all of them are. */
export function packPixels(images: readonly Placed[], height: number, width: number): BatchPixels {
  if (images.every(({ image }) => image.data instanceof Uint8Array)) {
    const channels = images.every(({ image }) => image.channels === 1) ? 1 : 3;
    const data = new Uint8Array(images.length * height * width * channels);
    for (const [b, placed] of images.entries())
      copyRows(placed, channels, width, data, b * height * width * channels);
    return {
      kind: 'bytes',
      data,
      channels,
      mirrored: Uint8Array.from(images, (one) => Number(one.mirrored)),
    };
  }
  const data = new Float32Array(images.length * 3 * height * width);
  for (const [b, placed] of images.entries())
    writeNormalized(placed, height, width, data, b * 3 * height * width);
  return { kind: 'floats', data };
}

/** Copies an image to its place before mirroring, in `out[offset ..]`, [height, width, channels]. */
function copyRows(
  { image, box, mirrored }: Placed,
  channels: 1 | 3,
  width: number,
  out: Uint8Array,
  offset: number,
): void {
  const { data } = channels === 1 ? image : toRgb(image);
  const left = mirrored ? width - box.x1 : box.x0;
  // Rows that fill the crop lie one after the other in both.
  const rows = image.width === width ? 1 : image.height;
  const length = (image.height / rows) * image.width * channels;
  let to = offset + (box.y0 * width + left) * channels;
  for (let from = 0; from < rows * length; from += length, to += width * channels)
    out.set(data.subarray(from, from + length), to);
}

/**
 * One image of a batch as it is shown, [height * width * 3] bytes: for pictures, and for post-processing by colour. Floats
 * are rounded and cut to 0..255. It may be a part of the batch's own memory.
 */
export function batchRgb(
  { pixels, height, width }: Pick<Batch, 'pixels' | 'height' | 'width'>,
  image: number,
): Uint8Array {
  const plane = height * width;
  if (pixels.kind === 'floats')
    return denormalizedBytes(pixels.data.subarray(3 * plane * image, 3 * plane * (image + 1)), plane);
  const { channels, mirrored } = pixels;
  const data = pixels.data.subarray(channels * plane * image, channels * plane * (image + 1));
  const { data: rgb } = toRgb({ data, height, width, channels });
  return mirrored[image] ? mirrorRows(rgb as Uint8Array, width) : (rgb as Uint8Array);
}

function denormalizedBytes(image: Float32Array, plane: number): Uint8Array {
  const out = new Uint8ClampedArray(3 * plane);
  for (let c = 0; c < 3; c++)
    for (let i = 0; i < plane; i++)
      out[3 * i + c] = Math.round(image[c * plane + i]! * IMAGE_STD[c]! + IMAGE_MEAN[c]!);
  return new Uint8Array(out.buffer);
}

function mirrorRows(rgb: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(rgb.length);
  for (let i = 0; i < rgb.length / 3; i++) {
    const x = i % width;
    const from = 3 * (i - x + width - 1 - x);
    out.set(rgb.subarray(from, from + 3), 3 * i);
  }
  return out;
}
