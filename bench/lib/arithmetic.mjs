// What the encoder's arithmetic is, and what this machine can do at most: a time counts only beside its limit.
import { scope, Tensor } from '../../dist/tensor/index.js';

/** Side reductions of keys and values, and expansion of the hidden layer (SegFormer paper, table 6). */
const REDUCTION = [8, 4, 2, 1];
const EXPANSION = 4;

/**
 * Operations of one image's pass through a Mix-Transformer, multiply-adds counted twice: products and convolutions,
 * without norms and activations.
 * @param backbone embedDims and depths of the four stages
 * @param side height and width of the image
 */
export function encoderFlops({ embedDims, depths }, side, stride = [4, 2, 2, 1]) {
  let [positions, channels, flops] = [side * side, 3, 0];
  for (const [stage, dim] of embedDims.entries()) {
    positions = Math.ceil(Math.sqrt(positions) / stride[stage]) ** 2;
    const kernel = stage === 0 ? 49 : 9;
    flops += 2 * positions * kernel * channels * dim;
    const keys = positions / REDUCTION[stage] ** 2;
    const reduction = REDUCTION[stage] > 1 ? 2 * positions * dim * dim : 0;
    const projections = 2 * positions * dim * dim * 2 + 2 * keys * dim * 2 * dim;
    const attention = 4 * positions * keys * dim;
    const hidden = 2 * 2 * positions * dim * EXPANSION * dim + 2 * 9 * positions * EXPANSION * dim;
    flops += depths[stage] * (reduction + projections + attention + hidden);
    channels = dim;
  }
  return flops;
}

/** GB/s that a copy of 128 MB reads and writes: best of five. */
export function memoryGbps() {
  return scope(() => {
    const from = Tensor.ones([32 << 20]);
    const to = Tensor.zeros([32 << 20]);
    const once = () => {
      const start = performance.now();
      to.copy_(from);
      return (2 * 4 * (32 << 20)) / (performance.now() - start) / 1e6;
    };
    return Math.max(...Array.from({ length: 5 }, once));
  });
}
