import { IMAGE_MEAN, IMAGE_STD } from '../tensor/image-statistics.js';
import { type Device, keep, Tensor } from '../tensor/index.js';

const constants = new Map<Device, { mean: Tensor; std: Tensor }>();

function statistics(device: Device) {
  let found = constants.get(device);
  if (!found) {
    const column = (values: readonly number[]) => keep(Tensor.from([...values], [1, 3, 1, 1]).to({ device }));
    found = { mean: column(IMAGE_MEAN), std: column(IMAGE_STD) };
    constants.set(device, found);
  }
  return found;
}

/**
 * Normalised images back to 0..1 in steps of 1/255 (original: denormalize_img2). Multiplication and addition
 * round separately and the result is truncated: a fused multiply-add would move a tenth of the values by 1/255.
 * @param images [B, 3, H, W]
 */
export function denormalize(images: Tensor): Tensor {
  const { mean, std } = statistics(images.device);
  const bytes = images.mul(std).add(mean).clamp(0, 255).to({ dtype: 'uint8' });
  return bytes.to({ dtype: 'float32' }).div(255);
}
