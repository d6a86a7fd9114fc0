import { Tensor } from '../tensor/index.js';

/**
 * Processes that share one batch: their losses are parts of the loss of the whole batch. Each process's part is
 * scaled so that the mean over processes, of losses as of gradients, is the loss of one process with that batch.
 */
export interface SharedBatch {
  readonly processes: number;
  /** int64 counts, summed over the processes. */
  sum(counts: Tensor): Tensor;
}

/** Counts as numbers: of the batch at hand, or of the whole shared batch. */
function counted(counts: readonly Tensor[], shared: SharedBatch | undefined): number[] {
  const own = Tensor.stack(counts);
  return Array.from((shared ? shared.sum(own) : own).data() as BigInt64Array, Number);
}

/**
 * Mean over classes of binary cross-entropy with logits, then over images (torch's multilabel_soft_margin_loss).
 * @param positiveWeight [C]: factors on the loss of positive labels, where classes are rare (torch's pos_weight)
 */
export function multilabelSoftMarginLoss(logits: Tensor, labels: Tensor, positiveWeight?: Tensor): Tensor {
  return logits.binaryCrossEntropyWithLogits(labels, positiveWeight);
}

/** Cross-entropy over pixels for which `mask` holds, summed, and how many there are. */
function maskedCrossEntropy(logits: Tensor, label: Tensor, mask: Tensor): { sum: Tensor; count: Tensor } {
  const ignored = label.maskedFill(mask.logicalNot(), IGNORED);
  return {
    sum: logits.crossEntropy(ignored, { ignoreIndex: IGNORED, reduction: 'sum' }),
    count: mask.sum(),
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
 * @param shared the processes whose batches together are averaged over; counts are then theirs
 */
export function getSegLoss(logits: Tensor, label: Tensor, ignoreIndex = 255, shared?: SharedBatch): SegLoss {
  const known = label.ne(ignoreIndex);
  const isBackground = label.eq(0);
  const background = maskedCrossEntropy(logits, label, isBackground);
  const foreground = maskedCrossEntropy(logits, label, known.logicalAnd(isBackground.logicalNot()));
  const counts = counted([background.count, foreground.count], shared);
  const mean = (sum: Tensor, count: number) => sum.div(Math.max(count, 1) / (shared?.processes ?? 1));
  return {
    loss: mean(background.sum, counts[0]!).add(mean(foreground.sum, counts[1]!)).mul(0.5),
    background: counts[0]!,
    foreground: counts[1]!,
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
 * @param shared the processes whose batches together are averaged over; counts are then theirs
 */
export function getAffLoss(affinity: Tensor, label: Tensor, shared?: SharedBatch): AffinityLoss {
  const [same, different] = [label.eq(1), label.eq(0)];
  const [positive, negative] = [same, different].map((pairs) => pairs.to({ dtype: affinity.dtype }));
  const [posCount, negCount] = counted([same.sum(), different.sum()], shared).map((count) => count + 1) as [
    number,
    number,
  ];
  const processes = shared?.processes ?? 1;
  const posLoss = positive!
    .mul(affinity.neg().add(1))
    .sum()
    .div(posCount / processes);
  const negLoss = negative!
    .mul(affinity)
    .sum()
    .div(negCount / processes);
  return { loss: posLoss.add(negLoss).mul(0.5), posCount, negCount };
}
