import { whyUnavailable } from '../../src/tensor/index.js';

/** Why tests that need a GPU cannot run here, for their titles; undefined where they can. */
export const noGpu = whyUnavailable('cuda');
export const skipped = noGpu ? ` (skipped: ${noGpu.split('.')[0]})` : '';
