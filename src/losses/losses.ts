import type { Tensor } from '../tensor/index.js';

/**
 * Mean over classes of binary cross-entropy with logits, then over images (torch's multilabel_soft_margin_loss).
 * @param positiveWeight [C]: factors on the loss of positive labels, where classes are rare (torch's pos_weight)
 */
export function multilabelSoftMarginLoss(logits: Tensor, labels: Tensor, positiveWeight?: Tensor): Tensor {
  return logits.binaryCrossEntropyWithLogits(labels, positiveWeight);
}

/** Cross-entropy over pixels for which `mask` holds, summed, and how many there are. */
function maskedCrossEntropy(logits: Tensor, label: Tensor, mask: Tensor): { sum: Tensor; count: number } {
  const ignored = label.maskedFill(mask.logicalNot(), IGNORED);
  return {
    sum: logits.crossEntropy(ignored, { ignoreIndex: IGNORED, reduction: 'sum' }),
    count: mask.sum().item(),
  };
}

const IGNORED = -100;

export interface SegLoss {
  loss: Tensor;
  /** Labelled pixels of each kind; a kind with none contributes 0 to the loss. */
  foreground: number;
  background: number;
}

/**
 * Half the mean cross-entropy over background pixels plus half that over foreground pixels (original:
 * get_seg_loss). A batch without one of the two contributes 0 for it, where the original's mean of nothing is NaN.
 * @param logits [B, C, H, W]
 * @param label [B, H, W] int64, `ignoreIndex` where unknown
 */
export function getSegLoss(logits: Tensor, label: Tensor, ignoreIndex = 255): SegLoss {
  const known = label.ne(ignoreIndex);
  const isBackground = label.eq(0);
  const background = maskedCrossEntropy(logits, label, isBackground);
  const foreground = maskedCrossEntropy(logits, label, known.logicalAnd(isBackground.logicalNot()));
  const mean = ({ sum, count }: { sum: Tensor; count: number }) => sum.div(Math.max(count, 1));
  return {
    loss: mean(background).add(mean(foreground)).mul(0.5),
    foreground: foreground.count,
    background: background.count,
  };
}

export interface AffinityLoss {
  loss: Tensor;
  /** Pairs of each kind, plus one: the divisors. */
  posCount: number;
  negCount: number;
}

/**
 * Pulls predicted affinity to 1 for pairs of one class and to 0 for pairs of two (AFA, equation 6; original:
 * get_aff_loss).
 * @param affinity [B, N, N] in (0, 1)
 * @param label [B, N, N] uint8: 1 same class, 0 different, other values ignored
 */
export function getAffLoss(affinity: Tensor, label: Tensor): AffinityLoss {
  const positive = label.eq(1).to({ dtype: affinity.dtype });
  const negative = label.eq(0).to({ dtype: affinity.dtype });
  const posCount = label.eq(1).sum().item() + 1;
  const negCount = label.eq(0).sum().item() + 1;
  const posLoss = positive.mul(affinity.neg().add(1)).sum().div(posCount);
  const negLoss = negative.mul(affinity).sum().div(negCount);
  return { loss: posLoss.add(negLoss).mul(0.5), posCount, negCount };
}
