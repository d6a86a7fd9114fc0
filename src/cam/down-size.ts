/** Grid of the last stage for an image: each side divided by the total stride, rounded up. Seed: get_down_size. */
export function getDownSize([height, width]: readonly [number, number], stride = 16): [number, number] {
  return [Math.ceil(height / stride), Math.ceil(width / stride)];
}
