/** A batch of a step: all of it, or one of those that are accumulated. */
import { affinityKinds, affinityLabel, cellLabels } from '../cam/affinity.js';
import { getDownSize } from '../cam/down-size.js';
import { type PixelLabels, pixelLabels } from '../cam/pipeline.js';
import { radiusMask } from '../cam/radius-mask.js';
import type { Batch } from '../loading/batch.js';
import { batchImages } from '../loading/batch-images.js';
import {
  getAffLoss,
  getSegLoss,
  labelCounts,
  multilabelSoftMarginLoss,
  pairCounts,
  type SharedBatch,
} from '../losses/index.js';
import type { Wanted, WeTr, WeTrOutput } from '../models/wetr.js';
import { span } from '../profile/index.js';
import { Tensor } from '../tensor/index.js';
import { NUMBERS } from './queued-step.js';
import type { Phase } from './schedule.js';
import type { StepOptions } from './step-options.js';

/** What a batch has to learn from, on the device. */
export interface StepPart {
  /** [B, 3, H, W], normalised. */
  images: Tensor;
  /** [B, C] of 0 and 1. */
  labels: Tensor;
  /** [C]: factors on the classification loss of positive labels. */
  positive?: Tensor | undefined;
  /** After the classification phase: what pixels and pairs of them are. */
  targets?: Targets;
  /** What became of the maps on the way to the targets; a log shows it. */
  made?: PixelLabels;
  /** The training forward, where labels took their maps at scale 1 from it. */
  out?: WeTrOutput;
}

export interface Targets {
  /** int64 [B, H, W], ignoreIndex where unknown. */
  refined: Tensor;
  /** uint8 [B, N, N] from affinityLabel. */
  pairs: Tensor;
}

/** How the parts of one batch share its pixels and pairs. */
export interface Shared {
  seg: SharedBatch | undefined;
  aff: SharedBatch | undefined;
}

/**
 * Sends a batch to the device and makes its pixel labels, without gradients.
 * @param wanted of the training forward, which runs here where labels share its maps
 */
export function prepare(
  model: WeTr,
  batch: Batch,
  phase: Phase,
  options: StepOptions,
  show: boolean,
  wanted: Wanted,
): StepPart {
  const { device } = options;
  const count = batch.names.length;
  const images = batchImages(batch, device);
  const labels = Tensor.from(batch.labels, [count, batch.labels.length / count], 'float32', device);
  const { positiveWeights } = options;
  const positive = positiveWeights && Tensor.from(positiveWeights, undefined, 'float32', device);
  if (phase === 'cls') return { images, labels, positive };
  const out = options.shareScaleOne
    ? span('forward', () => model.forward(images, { ...wanted, cam: true }))
    : undefined;
  const training = model.training;
  model.train(options.camMode === 'train');
  try {
    const input = { images, labels, boxes: batch.boxes, hostLabels: batch.labels, scaleOne: out?.cam };
    const made = pixelLabels(model, input, phase === 'affinity', options, show);
    const grid = getDownSize([batch.height, batch.width], options.stride);
    const near = radiusMask(grid, options.radius, device);
    const pairs = labelPairs(made.affinity, grid, near, options);
    return { images, labels, positive, targets: { refined: made.refined, pairs }, made, out };
  } finally {
    model.train(training);
  }
}

/** uint8 [B, N, N]: what affinity learns of each pair of cells. */
function labelPairs(
  label: Tensor,
  grid: [number, number],
  near: Tensor,
  { affLabelPoint: point = 'corner', affBalance = 'pairs', thresholds }: StepOptions,
): Tensor {
  const { ignoreIndex } = thresholds;
  if (affBalance === 'kinds') return affinityKinds(cellLabels(label, grid, point), near, ignoreIndex);
  // Nearest-neighbour scaling, which is part of the labels' kernel, reads corners.
  const read = point === 'corner' ? label : cellLabels(label, grid, point);
  return affinityLabel(read, grid, near, ignoreIndex);
}

/** Counts of several parts, in all processes, known before the first of them learns: their losses are then one batch's. */
export function countTogether(
  parts: readonly StepPart[],
  { ddp, thresholds, affBalance }: StepOptions,
): Shared {
  if (!parts[0]!.targets) return { seg: undefined, aff: undefined };
  const counts = parts.map(({ targets }) =>
    Tensor.cat([
      labelCounts(targets!.refined, thresholds.ignoreIndex),
      pairCounts(targets!.pairs, affBalance),
    ]),
  );
  const own = Tensor.stack(counts).sum(0);
  const whole = ddp ? ddp.sum(own) : own;
  const processes = parts.length * (ddp?.processes ?? 1);
  const shared = (start: number, length: number): SharedBatch => ({
    processes,
    sum: () => whole.narrow(0, start, length),
  });
  return { seg: shared(0, 2), aff: shared(2, whole.shape[0]! - 2) };
}

export interface PartLosses {
  loss: Tensor;
  /** Of `NUMBERS`, all but the counts being means of the parts'. */
  numbers: Tensor[];
  out: WeTrOutput;
  /** [B, numClasses, H, W], of the image's size. */
  logits?: Tensor;
}

/** Forward pass, where it has not been made for the labels, and losses of the phase. */
export function learn(
  model: WeTr,
  { images, labels, positive, targets, ...part }: StepPart,
  wanted: Wanted,
  shared: Shared,
  options: StepOptions,
): PartLosses {
  const { weights, device, thresholds } = options;
  const out = part.out ?? span('forward', () => model.forward(images, wanted));
  return span('losses', () => {
    const cls = multilabelSoftMarginLoss(out.cls!, labels, positive);
    const loss = cls.mul(weights.cls);
    if (!targets) {
      const nothing = Tensor.zeros([], 'float32', device);
      return { loss, numbers: [loss, cls, ...new Array(NUMBERS.length - 2).fill(nothing)], out };
    }
    const [, , height, width] = images.shape as [number, number, number, number];
    const logits = out.seg!.interpolate([height, width]);
    const seg = getSegLoss(logits, targets.refined, thresholds.ignoreIndex, shared.seg);
    const aff = getAffLoss(out.affinity!, targets.pairs, shared.aff, options.affBalance);
    const whole = loss.add(seg.loss.mul(weights.seg)).add(aff.loss.mul(weights.aff));
    const counts = [seg.counts, aff.counts].flatMap((two) => [two.select(0, 0), two.select(0, 1)]);
    return { loss: whole, numbers: [whole, cls, seg.loss, aff.loss, ...counts], out, logits };
  });
}
