import type { PixelImage } from '../datasets/sample.js';
import { IMAGE_MEAN, IMAGE_STD } from '../tensor/image-statistics.js';
import { type Placed, whole } from './transforms.js';

/** (value - mean) / std of channel c, rounded to float32 once. */
function normalizeValue(value: number, c: number): number {
  return Math.fround((value - IMAGE_MEAN[c]!) / IMAGE_STD[c]!);
}

/** [3, 256]: what each byte becomes in each channel, here and on every device. */
export const BYTE_TABLE = Float32Array.from({ length: 3 * 256 }, (_, i) =>
  normalizeValue(i % 256, Math.floor(i / 256)),
);

/**
 * Writes an image, normalised and mirrored where it is to be, to `out[offset ..]` as [3, height, width].
 * Padding is zero before normalisation, as in the original, so it is -mean/std after it.
 */
export function writeNormalized(
  { image, box, mirrored }: Placed,
  height: number,
  width: number,
  out: Float32Array,
  offset = 0,
): void {
  const { data } = image;
  const channels = image.channels ?? 3;
  const isByte = data instanceof Uint8Array;
  const plane = height * width;
  const covered = image.height === height && image.width === width;
  const step = mirrored ? -1 : 1;
  for (let c = 0; c < 3; c++) {
    const table = BYTE_TABLE.subarray(256 * c, 256 * (c + 1));
    const mean = IMAGE_MEAN[c]!;
    const std = IMAGE_STD[c]!;
    const start = offset + c * plane;
    if (!covered) out.fill(table[0]!, start, start + plane);
    let p = channels === 1 ? 0 : c;
    for (let y = 0; y < image.height; y++) {
      let o = start + (box.y0 + y) * width + (mirrored ? box.x1 - 1 : box.x0);
      for (let x = 0; x < image.width; x++, p += channels, o += step) {
        out[o] = isByte ? table[data[p]!]! : (data[p]! - mean) / std;
      }
    }
  }
}

/** (image - mean) / std with ImageNet statistics: [3, height, width] (normalize_img of the original). */
export function normalizeImage(image: PixelImage): Float32Array {
  const { height, width } = image;
  const out = new Float32Array(3 * height * width);
  writeNormalized(whole(image), height, width, out);
  return out;
}
