import { expected } from '../config/errors.js';
import { native } from '../native/index.js';
import { type Device, Tensor } from '../tensor/index.js';
import type { Batch } from './batch.js';
import { BYTE_TABLE } from './normalize.js';

/**
 * The network's input of a batch: float32 [B, 3, height, width] on `device`, ImageNet-normalised, mirrored where the
 * batch says so; the same to the last bit on every device. Bytes go to a GPU as bytes, through pinned memory and without
 * waiting, and are normalised there.
 */
export function batchImages(
  { pixels, height, width }: Pick<Batch, 'pixels' | 'height' | 'width'>,
  device: Device = 'cpu',
): Tensor {
  if (pixels?.kind !== 'bytes' && pixels?.kind !== 'floats')
    throw new TypeError(`${expected("pixels of kind 'bytes' or 'floats'", 'batch.pixels', pixels)}.`);
  if (pixels.kind === 'floats') {
    const count = Math.ceil(pixels.data.length / (3 * height * width));
    return Tensor.from(pixels.data, [count, 3, height, width], 'float32', device);
  }
  const { data, channels, mirrored } = pixels;
  const shape = [mirrored.length, height, width, channels];
  return new Tensor(native.normalizeBytes(data, shape, mirrored, BYTE_TABLE, device));
}
