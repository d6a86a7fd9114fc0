import { JET_LUT } from './palette.js';

const { fround } = Math;
/** value / 255 in float32, for every byte: numpy's `np.float32(image) / 255`. */
const SHARE = Float32Array.from({ length: 256 }, (_, value) => value / 255);

/**
 * Lays a class activation map over its image: jet colours and image are added, then divided by the largest sum
 * (original: show_cam_on_image). All arithmetic is float32 and both conversions to bytes truncate, as numpy's do.
 *
 * Unlike the original, which gives its RGB image to OpenCV as BGR, a coloured image keeps its own colours; for
 * grey images, and so for every medical dataset, the two are equal.
 *
 * @param rgb `[height * width, 3]` bytes
 * @param cam `[height * width]`, in 0..1; what lies outside is clipped
 * @returns `[height * width, 3]` RGB bytes
 * @throws RangeError when the sizes differ or the map holds a NaN, which has no colour
 */
export function overlayCam(rgb: Uint8Array, cam: Float32Array): Uint8Array {
  if (rgb.length !== 3 * cam.length) {
    throw new RangeError(
      `Expected an RGB image of ${cam.length} pixels for the map but received ${rgb.length} bytes (${rgb.length / 3} pixels)`,
    );
  }
  const sum = new Float32Array(rgb.length);
  let largest = 0;
  for (let i = 0; i < cam.length; i++) {
    const value = cam[i]!;
    if (Number.isNaN(value))
      throw new RangeError(`Expected numbers for the map but received NaN at pixel ${i}`);
    const color = 3 * Math.trunc(fround(255 * Math.min(1, Math.max(0, value))));
    for (let c = 0; c < 3; c++) {
      const total = fround(SHARE[JET_LUT[color + c]!]! + SHARE[rgb[3 * i + c]!]!);
      sum[3 * i + c] = total;
      if (total > largest) largest = total;
    }
  }
  // Never a division by 0: the darkest colour of jet has blue 128.
  const out = new Uint8Array(sum.length);
  for (let i = 0; i < sum.length; i++) out[i] = fround(255 * fround(sum[i]! / largest));
  return out;
}
