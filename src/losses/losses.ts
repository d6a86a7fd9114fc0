import { native } from '../native/index.js';
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

/** A sum divided by its part of a count of the whole shared batch; nothing is read back from the device. */
function meanOver(sum: Tensor, count: Tensor, shared: SharedBatch | undefined): Tensor {
  return sum.div(count.to({ dtype: sum.dtype }).div(shared?.processes ?? 1));
}

/** Both of two counts, read when somebody asks for one. */
const read = (counts: Tensor, i: 0 | 1): number => Number((counts.data() as BigInt64Array)[i]);

/**
 * Mean over classes of binary cross-entropy with logits, then over images (torch's multilabel_soft_margin_loss).
 * @param positiveWeight [C]: factors on the loss of positive labels, where classes are rare (torch's pos_weight)
 */
export function multilabelSoftMarginLoss(logits: Tensor, labels: Tensor, positiveWeight?: Tensor): Tensor {
  return logits.binaryCrossEntropyWithLogits(labels, positiveWeight);
}

/** Cross-entropy over pixels for which `mask` holds, summed. */
function maskedCrossEntropy(logits: Tensor, label: Tensor, mask: Tensor): Tensor {
  const ignored = label.maskedFill(mask.logicalNot(), IGNORED);
  return logits.crossEntropy(ignored, { ignoreIndex: IGNORED, reduction: 'sum' });
}

const IGNORED = -100;

/** True where a label is background, and where it is a class. */
function kindsOf(label: Tensor, ignoreIndex: number): [background: Tensor, foreground: Tensor] {
  const background = label.eq(0);
  return [background, label.ne(ignoreIndex).logicalAnd(background.logicalNot())];
}

/** int64 [2]: background and foreground pixels that getSegLoss() counts. */
export function labelCounts(label: Tensor, ignoreIndex = 255): Tensor {
  return Tensor.stack(kindsOf(label, ignoreIndex).map((kind) => kind.sum()));
}

/** int64 [2]: pairs of one class and of two that getAffLoss() counts. */
export function pairCounts(label: Tensor): Tensor {
  return Tensor.stack([label.eq(1).sum(), label.eq(0).sum()]);
}

export interface SegLoss {
  loss: Tensor;
  /** int64 [2], labelled background and foreground pixels; a kind with none contributes 0 to the loss. */
  counts: Tensor;
  /** The same as numbers: reading one waits for the device. */
  readonly foreground: number;
  readonly background: number;
}

/**
 * Half the mean cross-entropy over background pixels plus half that over foreground pixels (original:
 * get_seg_loss). A batch without one of the two contributes 0 for it, where the original's mean of nothing is NaN.
 * @param logits [B, C, H, W]
 * @param label [B, H, W] int64, `ignoreIndex` where unknown
 * @param shared the processes whose batches together are averaged over; counts are then theirs
 */
export function getSegLoss(logits: Tensor, label: Tensor, ignoreIndex = 255, shared?: SharedBatch): SegLoss {
  const kinds = kindsOf(label, ignoreIndex);
  const [background, foreground] = kinds.map((kind) => maskedCrossEntropy(logits, label, kind));
  const own = Tensor.stack(kinds.map((kind) => kind.sum()));
  const counts = shared ? shared.sum(own) : own;
  const divisors = counts.clamp(1);
  const mean = (sum: Tensor, kind: 0 | 1) => meanOver(sum, divisors.select(0, kind), shared);
  return {
    loss: mean(background!, 0).add(mean(foreground!, 1)).mul(0.5),
    counts,
    get background() {
      return read(counts, 0);
    },
    get foreground() {
      return read(counts, 1);
    },
  };
}

export interface AffinityLoss {
  loss: Tensor;
  /** int64 [2], pairs of one class and of two, plus one each: the divisors. */
  counts: Tensor;
  /** The same as numbers: reading one waits for the device. */
  readonly posCount: number;
  readonly negCount: number;
}

/**
 * Pulls predicted affinity to 1 for pairs of one class and to 0 for pairs of two (AFA, equation 6; original:
 * get_aff_loss).
 * @param affinity [B, N, N] in (0, 1)
 * @param label [B, N, N] uint8: 1 same class, 0 different, other values ignored
 * @param shared the processes whose batches together are averaged over; counts are then theirs
 */
export function getAffLoss(affinity: Tensor, label: Tensor, shared?: SharedBatch): AffinityLoss {
  const [same, different, own] = native
    .affinitySums(Tensor.handle(affinity), Tensor.handle(label))
    .map((handle) => new Tensor(handle)) as [Tensor, Tensor, Tensor];
  const counts = (shared ? shared.sum(own) : own).add(1);
  const mean = (sum: Tensor, kind: 0 | 1) => meanOver(sum, counts.select(0, kind), shared);
  return {
    loss: mean(same, 0).add(mean(different, 1)).mul(0.5),
    counts,
    get posCount() {
      return read(counts, 0);
    },
    get negCount() {
      return read(counts, 1);
    },
  };
}
