import { native } from '../native/index.js';
import { Tensor } from '../tensor/index.js';
import { softmaxWithBackground } from './pseudo-labels.js';
import { radiusMask } from './radius-mask.js';

/**
 * Pairwise labels for the affinity loss (AFA, section 3.2; original: cams_to_affinity_label).
 * @param label [B, H, W] pixel labels, read at the grid's positions by nearest neighbour
 * @param grid rows and columns of the affinity's positions
 * @param near bool [N, N] from radiusMask: other pairs are ignored
 * @returns uint8 [B, N, N]: 1 same class, 0 different, ignoreIndex where unknown or far
 */
export function affinityLabel(
  label: Tensor,
  grid: readonly [number, number],
  near: Tensor,
  ignoreIndex: number,
): Tensor {
  return new Tensor(
    native.affinityLabel(Tensor.handle(label), grid[0], grid[1], Tensor.handle(near), ignoreIndex),
  );
}

/**
 * Random-walk transition matrix: affinity of near pairs squared, columns summing to one (original: n_pow = 2,
 * 0.1 against empty columns). affinity [B, N, N] -> [B, N, N].
 */
export function transitionMatrix(affinity: Tensor, near: Tensor): Tensor {
  const squared = affinity.maskedFill(near.logicalNot(), 0).square();
  return squared.div(squared.sum(1, true).add(0.1));
}

/**
 * One random-walk step over maps with background (AFA, equation 5; original: propagte_aff_cam_with_bkg).
 * @param cams [B, C, h, w] valid maps on the affinity's grid
 * @param transition [B, N, N] from transitionMatrix, N = h*w
 * @param labels [B, C]
 * @returns [B, 1 + C, h, w]; classes that the image does not have stay 0
 */
export function propagateCam(cams: Tensor, transition: Tensor, labels: Tensor, bkgScore: number): Tensor {
  const [b, c, h, w] = cams.shape as [number, number, number, number];
  const scores = softmaxWithBackground(cams, labels, bkgScore).reshape(b, c + 1, h * w);
  return scores.matmul(transition).reshape(b, c + 1, h, w);
}

/**
 * propagateCam() with each of several background scores, by transitionMatrix() of the near pairs: one product for all,
 * one kernel on CUDA, where the matrix is never made.
 * @param cams [B, C, h, w] valid maps on the affinity's grid
 * @param affinity [B, N, N], N = h*w
 */
export function propagateCams(
  cams: Tensor,
  affinity: Tensor,
  labels: Tensor,
  bkgScores: readonly number[],
  radius: number,
): Tensor[] {
  const [b, c, h, w] = cams.shape as [number, number, number, number];
  const scores = bkgScores.map((score) =>
    softmaxWithBackground(cams, labels, score).reshape(b, c + 1, h * w),
  );
  const near = radiusMask([h, w], radius, cams.device);
  const walked = new Tensor(
    native.randomWalk(
      Tensor.handle(affinity),
      Tensor.handle(Tensor.cat(scores, 1)),
      Tensor.handle(near),
      w,
      radius,
    ),
  );
  return bkgScores.map((_, i) => walked.narrow(1, i * (c + 1), c + 1).reshape(b, c + 1, h, w));
}
