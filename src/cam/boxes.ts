import { native } from '../native/index.js';
import { type Device, Tensor } from '../tensor/index.js';

/** [B, 4] of y0, y1, x0, x1 (half-open): where the image lies in its crop, the rest being padding. */
export type Boxes = Int32Array;

export const boxOf = (boxes: Boxes, image: number) => {
  const [y0, y1, x0, x1] = boxes.subarray(4 * image, 4 * image + 4) as unknown as number[];
  return { y0: y0!, y1: y1!, x0: x0!, x1: x1! };
};

/** True inside each image's box: bool [B, height, width]. */
export function boxMask(boxes: Boxes, height: number, width: number, device: Device = 'cpu'): Tensor {
  const corners = Tensor.from(boxes, [boxes.length / 4, 4]);
  return new Tensor(native.boxMask(Tensor.handle(corners), height, width, device));
}
