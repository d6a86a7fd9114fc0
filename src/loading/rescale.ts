import type { PixelImage } from '../datasets/sample.js';

/**
 * Antialiased bilinear rescaling, bit for bit as Pillow's `Image.resize(size, BILINEAR)`: a triangle filter
 * that widens when shrinking, a horizontal pass, a rounding to the pixel type, a vertical pass.
 * Only a window of the output is computed; its numbers equal those of the whole output.
 */

/** Half-open region of output pixels. */
export interface Window {
  y0: number;
  y1: number;
  x0: number;
  x1: number;
}

/** Pillow's fixed point for 8-bit pixels: 32 bits less 8 for the value and 2 spare. */
const FRACTION_BITS = 22;

/** For output i: input pixels `first[i] .. first[i] + count[i]`, weighted from `weights[i * stride]` on. */
interface Taps {
  first: Int32Array;
  count: Int32Array;
  stride: number;
  weights: Int32Array | Float64Array;
}

/** The triangle filter's taps for outputs [from, to) of a line resized from `inSize` to `outSize`. */
function triangleTaps(inSize: number, outSize: number, from: number, to: number, fixedPoint: boolean): Taps {
  const scale = inSize / outSize;
  const support = Math.max(scale, 1); // the filter's half-width, in input pixels
  const stride = Math.ceil(support) * 2 + 1;
  const length = to - from;
  const first = new Int32Array(length);
  const count = new Int32Array(length);
  const weights = fixedPoint ? new Int32Array(length * stride) : new Float64Array(length * stride);
  const line = new Float64Array(stride);
  for (let i = 0; i < length; i++) {
    const center = (from + i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const taps = Math.min(inSize, Math.trunc(center + support + 0.5)) - low;
    let sum = 0;
    for (let t = 0; t < taps; t++) {
      line[t] = Math.max(0, 1 - Math.abs((low + t - center + 0.5) * (1 / support)));
      sum += line[t]!;
    }
    for (let t = 0; t < taps; t++) {
      const weight = line[t]! / sum;
      weights[i * stride + t] = fixedPoint ? Math.trunc(0.5 + weight * 2 ** FRACTION_BITS) : weight;
    }
    first[i] = low;
    count[i] = taps;
  }
  return { first, count, stride, weights };
}

type Pixels = Uint8Array | Float32Array;

const newLike = (data: Pixels, length: number): Pixels =>
  data instanceof Uint8Array ? new Uint8Array(length) : new Float32Array(length);

/** Resizes every row of input rows [y0, y1) to the outputs that `taps` describe. */
function resizeRows(
  source: Pixels,
  width: number,
  channels: number,
  y0: number,
  y1: number,
  taps: Taps,
): Pixels {
  const { first, count, stride, weights } = taps;
  const outWidth = first.length;
  const out = newLike(source, (y1 - y0) * outWidth * channels);
  const isByte = source instanceof Uint8Array;
  const start = isByte ? 1 << (FRACTION_BITS - 1) : 0; // one half, for rounding
  let o = 0;
  for (let y = y0; y < y1; y++) {
    for (let x = 0; x < outWidth; x++) {
      const taken = count[x]!;
      const w = x * stride;
      for (let c = 0; c < channels; c++, o++) {
        let sum = start;
        let p = (y * width + first[x]!) * channels + c;
        for (let t = 0; t < taken; t++, p += channels) sum += source[p]! * weights[w + t]!;
        // Triangle weights are never negative and add up to one, so the sum needs no clipping.
        out[o] = isByte ? sum >> FRACTION_BITS : sum;
      }
    }
  }
  return out;
}

/** Resizes columns: `source` holds rows of `rowLength` values, the first of them being input row `firstRow`. */
function resizeColumns(source: Pixels, rowLength: number, firstRow: number, taps: Taps): Pixels {
  const { first, count, stride, weights } = taps;
  const out = newLike(source, first.length * rowLength);
  const isByte = source instanceof Uint8Array;
  const start = isByte ? 1 << (FRACTION_BITS - 1) : 0;
  for (let y = 0, o = 0; y < first.length; y++) {
    const taken = count[y]!;
    const w = y * stride;
    const row = (first[y]! - firstRow) * rowLength;
    for (let x = 0; x < rowLength; x++, o++) {
      let sum = start;
      let p = row + x;
      for (let t = 0; t < taken; t++, p += rowLength) sum += source[p]! * weights[w + t]!;
      out[o] = isByte ? sum >> FRACTION_BITS : sum;
    }
  }
  return out;
}

/**
 * Resizes an image to `height` x `width` and returns the pixels of `window`.
 *
 * 8-bit pixels use Pillow's fixed-point arithmetic (modes L and RGB); floats its double arithmetic with
 * float32 between the passes (mode F).
 *
 * @returns [window height, window width, channels], of the image's own pixel type
 */
export function rescaleWindow(image: PixelImage, height: number, width: number, window: Window): PixelImage {
  const channels = image.channels ?? 3;
  const fixedPoint = image.data instanceof Uint8Array;
  const columns = triangleTaps(image.width, width, window.x0, window.x1, fixedPoint);
  const rows = triangleTaps(image.height, height, window.y0, window.y1, fixedPoint);
  const last = rows.first.length - 1;
  const y0 = rows.first[0]!;
  const y1 = rows.first[last]! + rows.count[last]!;
  const narrowed = resizeRows(image.data, image.width, channels, y0, y1, columns);
  const data = resizeColumns(narrowed, columns.first.length * channels, y0, rows);
  return { data, height: window.y1 - window.y0, width: window.x1 - window.x0, channels };
}

/** Resizes a whole image to `height` x `width`. */
export function rescale(image: PixelImage, height: number, width: number): PixelImage {
  return rescaleWindow(image, height, width, { y0: 0, y1: height, x0: 0, x1: width });
}
