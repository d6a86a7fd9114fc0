/** Gaussian blur and blurred noise for the phantom; pictures are square, [size, size], row-major. */

import type { Random } from '../loading/random.js';

/** White noise blurred to the given grain, of unit variance, [size, size]. */
export function texture(random: Random, size: number, sigma: number): Float32Array {
  const noise = new Float32Array(size * size);
  for (let i = 0; i < noise.length; i++) noise[i] = (random.uint32() / 2 ** 32 - 0.5) * Math.sqrt(12);
  const blurred = blur(noise, size, sigma);
  // A separable filter multiplies the variance by the squared sum of its squared taps.
  const power = gaussianTaps(sigma).reduce((sum, tap) => sum + tap * tap, 0);
  for (let i = 0; i < blurred.length; i++) blurred[i]! /= power;
  return blurred;
}

function gaussianTaps(sigma: number): Float64Array {
  const reach = Math.ceil(3.5 * sigma);
  const taps = Float64Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-0.5 * ((i - reach) / sigma) ** 2),
  );
  const sum = taps.reduce((a, b) => a + b, 0);
  return taps.map((tap) => tap / sum);
}

/** Gaussian blur of a [size, size] picture; beyond its edges lie zeros. */
export function blur(picture: Float32Array, size: number, sigma: number): Float32Array {
  const taps = gaussianTaps(sigma);
  return blurRows(blurRows(picture, size, taps), size, taps);
}

/** Filters every row and transposes, so that two calls filter rows and columns. */
function blurRows(picture: Float32Array, size: number, taps: Float64Array): Float32Array {
  const reach = (taps.length - 1) / 2;
  const out = new Float32Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let col = 0; col < size; col++) {
      let sum = 0;
      const last = Math.min(size - 1, col + reach);
      for (let k = Math.max(0, col - reach); k <= last; k++)
        sum += taps[k - col + reach]! * picture[row * size + k]!;
      out[col * size + row] = sum;
    }
  }
  return out;
}
