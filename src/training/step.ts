import { affinityLabel } from '../cam/affinity.js';
import { getDownSize } from '../cam/down-size.js';
import { type PipelineOptions, type PixelLabels, pixelLabels } from '../cam/pipeline.js';
import { radiusMask } from '../cam/radius-mask.js';
import type { Ddp } from '../distributed/ddp.js';
import type { Picture } from '../export/grid.js';
import type { Batch } from '../loading/batch.js';
import { getAffLoss, getSegLoss, multilabelSoftMarginLoss } from '../losses/index.js';
import type { Wanted, WeTr } from '../models/wetr.js';
import type { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import { span } from '../profile/index.js';
import { type Device, Download, noGrad, scope, Tensor } from '../tensor/index.js';
import { stepPictures } from './pictures.js';
import type { Phase } from './schedule.js';

export interface StepOptions extends PipelineOptions {
  /** CAM passes in eval mode, or in train mode as the original runs them. */
  camMode: 'eval' | 'train';
  segDetach: boolean;
  weights: { cls: number; seg: number; aff: number };
  /** Factors on the classification loss of positive labels, one for each class. Absent: none. */
  positiveWeights?: Float32Array | undefined;
  device: Device;
  /** Total stride of the encoder. */
  stride: number;
  /** Most images in the pictures of a logged step; 0 or absent: no pictures. */
  pictures?: number;
  /** Trains together with other processes, each with a share of the batch. */
  ddp?: Ddp;
}

/** One step as numbers. Losses that a phase does not have are 0. */
export interface StepResult {
  phase: Phase;
  lr: number;
  loss: number;
  clsLoss: number;
  segLoss: number;
  affLoss: number;
  /** Pairs that the affinity loss counted. */
  posCount: number;
  negCount: number;
  /** Labelled pixels that the segmentation loss counted. */
  foreground: number;
  background: number;
  /** Share of pixels on which the segmentation head and the unrefined labels agree; of logged steps only. */
  segAgreement?: number;
  /** What the step saw and made of it; of logged steps only. */
  pictures?: Picture[];
  /** What was NaN or infinite; nothing was updated then. */
  nonFinite?: 'loss' | 'gradient' | undefined;
}

function camLabels(
  model: WeTr,
  images: Tensor,
  labels: Tensor,
  batch: Batch,
  phase: Phase,
  options: StepOptions,
  show: boolean,
) {
  const training = model.training;
  model.train(options.camMode === 'train');
  try {
    const input = { images, labels, boxes: batch.boxes, hostLabels: batch.labels };
    return pixelLabels(model, input, phase === 'affinity', options, show);
  } finally {
    model.train(training);
  }
}

/** Segmentation and affinity losses on a batch's pixel labels. */
function pixelLosses(seg: Tensor, affinity: Tensor, pixels: PixelLabels, batch: Batch, options: StepOptions) {
  const { ignoreIndex } = options.thresholds;
  const size = [batch.height, batch.width] as const;
  const grid = getDownSize(size, options.stride);
  const near = radiusMask(grid, options.radius, options.device);
  const logits = seg.interpolate(size);
  return {
    logits,
    seg: getSegLoss(logits, pixels.refined, ignoreIndex, options.ddp),
    aff: getAffLoss(affinity, affinityLabel(pixels.affinity, grid, near, ignoreIndex), options.ddp),
  };
}

/** Buffers of the model with copies: a forward pass in train mode moves batch-norm statistics. */
function statisticsOf(model: WeTr): [own: Tensor, before: Tensor][] {
  const parameters = model.parameters();
  const buffers = [...model.state()].filter(([name]) => !parameters.has(name));
  return buffers.map(([, own]) => [own, own.clone()]);
}

/** A step's numbers in the order in which they leave the device. */
const NUMBERS = [
  'loss',
  'clsLoss',
  'segLoss',
  'affLoss',
  'background',
  'foreground',
  'posCount',
  'negCount',
] as const;

/** The numbers as one tensor. Losses that are parts of a shared batch's become those of the whole batch. */
function gather(numbers: readonly Tensor[], ddp: Ddp | undefined): Tensor {
  // Metal has no float64, in which counts are exact.
  const dtype = numbers[0]!.device === 'mps' ? 'float32' : 'float64';
  const all = Tensor.stack(numbers.map((number) => number.detach().to({ dtype })));
  return ddp ? ddp.sum(all).div(ddp.processes) : all;
}

/** A step whose work is queued on the device; its numbers are on their way. */
export class QueuedStep {
  readonly #numbers: Download;

  constructor(
    numbers: Tensor,
    readonly known: Pick<StepResult, 'phase' | 'lr' | 'pictures'>,
    readonly optimizer: PolyWarmupAdamW,
  ) {
    this.#numbers = new Download(numbers);
  }

  /** Waits for the step, but not for later ones. To be called once, in the order of the steps. */
  take(): StepResult {
    const values = this.#numbers.take();
    const numbers = Object.fromEntries(NUMBERS.map((name, i) => [name, values[i]!])) as Record<
      (typeof NUMBERS)[number],
      number
    >;
    const [found, segAgreement] = values.slice(NUMBERS.length);
    const nonFinite = found === 0 ? undefined : Number.isFinite(numbers.loss) ? 'gradient' : 'loss';
    if (nonFinite) this.optimizer.unstep();
    return { ...this.known, ...numbers, segAgreement, nonFinite };
  }
}

/** trainStep(), when the host has time to wait: queueStep() queues the next step meanwhile. */
export function trainStep(...step: Parameters<typeof queueStep>): StepResult {
  return queueStep(...step).take();
}

/**
 * One training step: forward, losses of the phase, backward, update. Leaves no tensor behind, and reads none: on a GPU the
 * work is queued, and its results come with take().
 * A loss or a gradient that is not finite leaves the model as it was: the device decides so.
 * In the classification phase the decoder does not run; its weights still decay, as in the original.
 * @param logged also what a log shows: agreement, and pictures where the options ask for them, for which the host waits.
 *   It changes no number.
 */
export function queueStep(
  model: WeTr,
  optimizer: PolyWarmupAdamW,
  batch: Batch,
  phase: Phase,
  options: StepOptions,
  logged = false,
): QueuedStep {
  return scope(() => {
    const { device, weights, ddp } = options;
    const count = batch.names.length;
    const lr = optimizer.learningRates()[0]!;
    const images = Tensor.from(batch.images, [count, 3, batch.height, batch.width], 'float32', device);
    const labels = Tensor.from(batch.labels, [count, batch.labels.length / count], 'float32', device);

    const shown = logged ? (options.pictures ?? 0) : 0;
    const show = shown > 0;
    const statistics = phase === 'cls' ? [] : statisticsOf(model);
    const pixels =
      phase === 'cls'
        ? undefined
        : span('labels', () => camLabels(model, images, labels, batch, phase, options, show));
    const learnt = { cls: true, seg: pixels !== undefined, affinity: pixels !== undefined };
    const wanted = {
      ...learnt,
      affinity: learnt.affinity || show,
      attention: show,
      segDetach: options.segDetach,
    };
    const out = span('forward', () => model.forward(images, wanted));
    const positive =
      options.positiveWeights && Tensor.from(options.positiveWeights, undefined, 'float32', device);
    const cls = multilabelSoftMarginLoss(out.cls!, labels, positive);
    const nothing = Tensor.zeros([], 'float32', device);
    let loss = cls.mul(weights.cls);
    let pixelNumbers = new Array(NUMBERS.length - 2).fill(nothing);
    let logits: Tensor | undefined;
    if (pixels) {
      const { seg, aff, ...head } = span('losses', () =>
        pixelLosses(out.seg!, out.affinity!, pixels, batch, options),
      );
      loss = loss.add(seg.loss.mul(weights.seg)).add(aff.loss.mul(weights.aff));
      logits = head.logits;
      const counts = [seg.counts, aff.counts].flatMap((two) => [two.select(0, 0), two.select(0, 1)]);
      pixelNumbers = [seg.loss, aff.loss, ...counts];
    }
    const numbers = gather([loss, cls, ...pixelNumbers], ddp);
    const found = update(loss, numbers.select(0, 0), learnt, optimizer, ddp);
    // One NaN would stay in them for ever, and with it in every segmentation.
    const bad = found.select(0, 0).ne(0);
    for (const [own, before] of statistics) own.copy_(Tensor.where(bad, before, own));
    const pictures = show
      ? span('pictures', () =>
          noGrad(() => scope(() => stepPictures({ images, out, pixels, logits }, shown))),
        )
      : undefined;
    const own = pixels && logged ? [found, agreement(logits!, pixels)] : [found];
    const leaving = [numbers, ...own.map((number) => number.to({ dtype: numbers.dtype }))];
    return new QueuedStep(Tensor.cat(leaving), { phase, lr, pictures }, optimizer);
  });
}

/** Share of pixels on which the segmentation head and the unrefined labels agree. */
function agreement(logits: Tensor, pixels: PixelLabels): Tensor {
  return logits.detach().argmax(1).eq(pixels.pseudo).to({ dtype: 'float32' }).mean().reshape(1);
}

/**
 * Backward and AdamW. Averaged gradients are the same on all ranks, as is the loss.
 * @param whole the loss of the whole batch
 * @param learnt the outputs that the loss is made of
 * @returns [1]: 1 where loss or gradient are not finite, and nothing was updated
 */
function update(
  loss: Tensor,
  whole: Tensor,
  learnt: Wanted,
  optimizer: PolyWarmupAdamW,
  ddp: Ddp | undefined,
): Tensor {
  optimizer.zeroGrad();
  span('backward', () => (ddp ? ddp.backward(loss, learnt) : loss.backward()));
  const found = span('finite gradients', () => optimizer.findNonFinite(whole));
  span('AdamW', () => optimizer.step(found));
  return found;
}
