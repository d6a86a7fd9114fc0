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

/** What is known of a pair of cells. */
export const PAIR = { different: 0, same: 1, sameBackground: 2, ignored: 255 } as const;

/**
 * What the affinity loss takes means over. pairs: pairs of one class, and pairs of two (original). kinds: pairs of
 * background, which then have a value of their own, pairs of one object class, and pairs of two.
 */
export type AffinityBalance = 'pairs' | 'kinds';

/** int64: how many pairs getAffLoss() counts, of one class, of two, and by kind of background. */
export function pairCounts(label: Tensor, balance: AffinityBalance = 'pairs'): Tensor {
  const kinds = [PAIR.same, PAIR.different, ...(balance === 'kinds' ? [PAIR.sameBackground] : [])];
  return Tensor.stack(kinds.map((kind) => label.eq(kind).sum()));
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
  /** int64 [2], pairs of one class and of two, plus one each. */
  counts: Tensor;
  /** The same as numbers: reading one waits for the device. */
  readonly posCount: number;
  readonly negCount: number;
}

/** Sums of 1 - affinity over pairs of one class and of affinity over pairs of two, and int64 [2], how many they are. */
const affinitySums = (affinity: Tensor, label: Tensor) =>
  native.affinitySums(Tensor.handle(affinity), Tensor.handle(label)).map((handle) => new Tensor(handle)) as [
    same: Tensor,
    different: Tensor,
    counts: Tensor,
  ];

/**
 * Pulls predicted affinity to 1 for pairs of one class and to 0 for pairs of two: half the mean over the ones plus half the
 * mean over the others (AFA, equation 6; original: get_aff_loss).
 * By kind, pairs of background and pairs of an object have a quarter each, as in AffinityNet (Ahn and Kwak, CVPR 2018): of a
 * small object's image nearly all pairs of one class are background, and in their mean the object's own do not count.
 * @param affinity [B, N, N] in (0, 1)
 * @param label [B, N, N] uint8 of PAIR
 * @param shared the processes whose batches together are averaged over; counts are then theirs
 */
export function getAffLoss(
  affinity: Tensor,
  label: Tensor,
  shared?: SharedBatch,
  balance: AffinityBalance = 'pairs',
): AffinityLoss {
  const [same, different, own] = affinitySums(affinity, label);
  const background = balance === 'kinds' ? backgroundSums(affinity, label) : undefined;
  const all = background ? Tensor.cat([own, background.count]) : own;
  const counts = (shared ? shared.sum(all) : all).add(1);
  const mean = (sum: Tensor, kind: 0 | 1 | 2) => meanOver(sum, counts.select(0, kind), shared);
  const alike = background ? mean(same, 0).add(mean(background.same, 2)).mul(0.5) : mean(same, 0);
  const shown = background ? oneOfBoth(counts) : counts;
  return {
    loss: alike.add(mean(different, 1)).mul(0.5),
    counts: shown,
    get posCount() {
      return read(shown, 0);
    },
    get negCount() {
      return read(shown, 1);
    },
  };
}

/** The sum over pairs of background, and int64 [1], how many they are. */
function backgroundSums(affinity: Tensor, label: Tensor): { same: Tensor; count: Tensor } {
  const isBackground = label.eq(PAIR.sameBackground);
  const alone = label.maskedFill(isBackground.logicalNot(), PAIR.ignored).maskedFill(isBackground, PAIR.same);
  const [same, , counts] = affinitySums(affinity, alone);
  return { same, count: counts.narrow(0, 0, 1) };
}

/** Counts of three kinds, plus one each, as those of one class and of two. */
const oneOfBoth = (counts: Tensor): Tensor =>
  Tensor.stack([counts.select(0, 0).add(counts.select(0, 2)).sub(1), counts.select(0, 1)]);
