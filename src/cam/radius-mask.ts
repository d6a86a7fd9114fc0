import { type Device, keep, Tensor } from '../tensor/index.js';

/**
 * Which pairs of an h x w grid lie within `radius` of each other in both directions: [hw, hw] of 0 and 1,
 * row-major. Seed: get_mask_by_radius.
 */
export function getMaskByRadius(h = 20, w = 20, radius = 8): Uint8Array {
  const n = h * w;
  const mask = new Uint8Array(n * n);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const row = (y * w + x) * n;
      const [x0, x1] = [Math.max(0, x - radius), Math.min(w, x + radius + 1)];
      for (let y2 = Math.max(0, y - radius); y2 < Math.min(h, y + radius + 1); y2++)
        mask.fill(1, row + y2 * w + x0, row + y2 * w + x1);
    }
  return mask;
}

/** Enough for training's crop and the sizes of a validation in turn; a mask is N x N bytes, and sizes are many. */
const KEPT = 8;
const cache = new Map<string, Tensor>();

/**
 * The same as a bool tensor [hw, hw]; the last few grids' are kept. Not to be disposed, nor held for long: asking for
 * other grids frees it.
 */
export function radiusMask(
  [h, w]: readonly [number, number],
  radius: number,
  device: Device = 'cpu',
): Tensor {
  const key = `${h}x${w}/${radius}/${device}`;
  let mask = cache.get(key);
  if (!mask) {
    const host = Tensor.from(getMaskByRadius(h, w, radius), [h * w, h * w], 'bool');
    mask = keep(device === 'cpu' ? host : host.to({ device }));
  }
  // A map remembers insertion order: the first key is the one that was not asked for the longest.
  cache.delete(key);
  cache.set(key, mask);
  for (const [oldest, unused] of cache) {
    if (cache.size <= KEPT) break;
    cache.delete(oldest);
    unused.dispose();
  }
  return mask;
}
