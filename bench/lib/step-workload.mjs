// What a measured training step is given, on any device.
import { scope, Tensor } from '../../dist/tensor/index.js';

/** The shipped settings, on the CPU. */
export const STEP = {
  scales: [1, 0.5, 1.5],
  thresholds: { bkgScore: 0.45, highThre: 0.55, lowThre: 0.35, ignoreIndex: 255 },
  par: { numIter: 10, dilations: [1, 2, 4, 8, 12, 24] },
  radius: 8,
  affinitySource: 'refined_aff_label',
  camMode: 'eval',
  segDetach: false,
  weights: { cls: 1, seg: 0.1, aff: 0.1 },
  device: 'cpu',
  stride: 16,
};

/** A batch of random, grey images that all have the one class. */
export function randomBatch(count, crop) {
  const data = scope(() => Tensor.rand([count, crop, crop]).mul(256).to({ dtype: 'uint8' }).data());
  return {
    names: Array.from({ length: count }, (_, i) => `slice_${i}`),
    pixels: { kind: 'bytes', data, channels: 1, mirrored: new Uint8Array(count) },
    height: crop,
    width: crop,
    labels: new Float32Array(count).fill(1),
    boxes: Int32Array.from({ length: count * 4 }, (_, i) => (i % 2 ? crop : 0)),
  };
}
