import type { Tensor } from '../tensor/index.js';
import { softmaxWithBackground } from './pseudo-labels.js';

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
  const [b] = label.shape as [number];
  const small = label.unsqueeze(1).to({ dtype: 'float32' }).interpolate(grid, 'nearest').reshape(b, -1);
  const known = small.ne(ignoreIndex);
  const rows = (t: Tensor) => t.unsqueeze(2);
  const columns = (t: Tensor) => t.unsqueeze(1);
  const same = rows(small).eq(columns(small)).to({ dtype: 'uint8' });
  const counted = rows(known).logicalAnd(columns(known)).logicalAnd(near);
  return same.maskedFill(counted.logicalNot(), ignoreIndex);
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
