import type { StepOptions } from '../src/training/step.js';

/** A training step on the CPU with the shipped thresholds and weights, and as little to compute as there can be. */
export const STEP_OPTIONS: StepOptions = {
  scales: [1],
  thresholds: { bkgScore: 0.45, highThre: 0.55, lowThre: 0.35, ignoreIndex: 255 },
  par: { numIter: 1, dilations: [1] },
  radius: 8,
  affinitySource: 'refined_aff_label',
  camMode: 'eval',
  segDetach: false,
  weights: { cls: 1, seg: 0.1, aff: 0.1 },
  device: 'cpu',
  stride: 16,
};
