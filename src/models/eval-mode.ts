import { pauseConvolutionTiming } from '../tensor/index.js';
import type { WeTr } from './wetr.js';

/**
 * Prepares a model for images of any size: no dropout, running statistics, no convolution timed anew for each size.
 * @returns what puts it back as it was
 */
export function enterEvalMode(model: WeTr): () => void {
  const { training } = model;
  model.eval();
  const resumeTiming = pauseConvolutionTiming();
  return () => {
    resumeTiming();
    model.train(training);
  };
}
