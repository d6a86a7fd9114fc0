import { smallestSide } from '../config/checks.js';
import { UsageError } from '../config/errors.js';

/**
 * Refuses an image that is too small for the encoder at the smallest scale, by name: libtorch would only speak of a
 * kernel.
 * @param name for the message
 * @param key the one that holds the scales
 * @throws UsageError
 */
export function requireSize(
  name: string,
  [height, width]: readonly [number, number],
  scales: readonly number[],
  stride: readonly number[],
  key = 'cam.scales',
): void {
  const smallest = Math.min(1, ...scales);
  const needed = smallestSide(stride);
  if (Math.floor(smallest * Math.min(height, width)) >= needed) return;
  throw new UsageError(
    `Expected at least ${Math.ceil(needed / smallest)} pixels a side, which leave ${needed} at scale ${smallest}, for image ` +
      `${name} but received ${height} x ${width}. Enlarge the images, or set ${key} to larger factors.`,
  );
}
