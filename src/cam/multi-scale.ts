import type { WeTr } from '../models/wetr.js';
import { native } from '../native/index.js';
import { span } from '../profile/index.js';
import { Tensor } from '../tensor/index.js';

export interface MultiScaleOptions {
  /** Scale 1 always runs, and first. */
  scales: readonly number[];
  /** Also the predicted affinity at the largest scale. */
  affinity?: boolean;
  /** Affinity of the mirrored images as well: 2B entries, images first. Only the original's tensor needs it. */
  flippedAffinity?: boolean;
  /** Images a pass, 0 for all at once. By default few on the CPU: the same speed from caches, a third of the memory. */
  chunk?: number;
  /** [B, numClasses-1, h, w]: maps at scale 1 of a pass made already. Only mirror images pass then; needs a scale above 1. */
  scaleOne?: Tensor;
}

export interface MultiScaleCam {
  /** [B, numClasses-1, H, W], each map scaled to 0..1. */
  cam: Tensor;
  /** [B, N, N], N = grid[0] * grid[1]. */
  affinity?: Tensor;
  /** Rows and columns of the last stage at the largest scale (0, 0 without affinity). */
  grid: readonly [number, number];
}

/** Pixels a CPU pass works on before its activations outgrow the caches. */
const PIXELS_A_PASS = 320 * 320;

function defaultChunk(images: Tensor): number {
  const [, , height, width] = images.shape as [number, number, number, number];
  return images.device === 'cpu' ? Math.max(1, Math.floor(PIXELS_A_PASS / (height * width))) : 0;
}

/**
 * Class activation maps over scales and mirror images: rectified, summed, scaled to 0..1 (AFA, section 3.1;
 * original: multi_scale_cam_with_aff_mat). Without gradients, in the model's present mode.
 * @param images [B, 3, H, W], normalised; 0.5 of each side must be at least 32
 */
export function multiScaleCam(model: WeTr, images: Tensor, options: MultiScaleOptions): MultiScaleCam {
  const { scales, affinity = false, flippedAffinity = false } = options;
  const chunk = options.chunk ?? defaultChunk(images);
  const [cam, aff, gridHeight, gridWidth, graphFault] = span('CAM passes', () =>
    native.multiScaleCam(
      model.handle,
      Tensor.handle(images),
      scales,
      affinity,
      flippedAffinity,
      chunk,
      options.scaleOne && Tensor.handle(options.scaleOne),
    ),
  );
  if (graphFault) process.emitWarning(graphFault);
  const out: MultiScaleCam = { cam: new Tensor(cam), grid: [gridHeight, gridWidth] };
  if (aff) out.affinity = new Tensor(aff);
  return out;
}
