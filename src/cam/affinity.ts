import { PAIR } from '../losses/index.js';
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

/** Where in its cell of the affinity's grid a pixel label is read. */
export type LabelPoint = 'corner' | 'centre';

/**
 * One pixel label for each cell of the affinity's grid: int64 [B, h, w].
 * @param label [B, H, W]
 * @param point corner: as nearest-neighbour scaling reads it (original). centre: where the walk's maps have a cell's value,
 *   which bilinear scaling brings there. Half a cell lies between the two, which is much of an object of few cells.
 */
export function cellLabels(label: Tensor, grid: readonly [number, number], point: LabelPoint): Tensor {
  const offset = point === 'centre' ? 0.5 : 0;
  const take = (labels: Tensor, dim: number, cells: number) => {
    const size = labels.shape[dim]!;
    const at = Array.from({ length: cells }, (_, i) => BigInt(Math.floor(((i + offset) * size) / cells)));
    const index = Tensor.from(BigInt64Array.from(at)).to({ device: labels.device });
    return labels.indexSelect(dim, index);
  };
  return take(take(label, 1, grid[0]), 2, grid[1]);
}

/**
 * affinityLabel() that tells pairs of background from pairs of one object class: for getAffLoss() by kind.
 * @param cells int64 [B, h, w] from cellLabels
 * @returns uint8 [B, N, N] of PAIR
 */
export function affinityKinds(cells: Tensor, near: Tensor, ignoreIndex: number): Tensor {
  const [b, h, w] = cells.shape as [number, number, number];
  const known = cells.maskedFill(cells.eq(ignoreIndex), PAIR.ignored);
  const pairs = affinityLabel(known, [h, w], near, PAIR.ignored);
  const background = known
    .eq(0)
    .reshape(b, h * w, 1)
    .logicalAnd(pairs.eq(PAIR.same));
  return pairs.maskedFill(background, PAIR.sameBackground);
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
