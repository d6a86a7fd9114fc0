import type { Config } from '../config/schema.js';

/** The three phases of AFA training. */
export type Phase = 'cls' | 'cam' | 'affinity';

/**
 * Which phase iteration `iteration` (counted from 0) is in: classification alone up to and including
 * `camIters`, then labels from maps, and labels from propagated maps after `switchIter` (original: `n_iter <=
 * cam_iters`, `n_iter > aff_label_switch_iter`).
 */
export function phaseOf(iteration: number, camIters: number, switchIter: number): Phase {
  if (iteration <= camIters) return 'cls';
  return iteration > switchIter ? 'affinity' : 'cam';
}

/** `phaseOf` by the configuration's `train` section. */
export const phaseAt = (iteration: number, train: Config['train']): Phase =>
  phaseOf(iteration, train.cam_iters, train.aff_label_switch_iter);
