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
import { type Device, noGrad, scope, Tensor } from '../tensor/index.js';
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

const NOTHING = {
  loss: 0,
  clsLoss: 0,
  segLoss: 0,
  affLoss: 0,
  posCount: 0,
  negCount: 0,
  foreground: 0,
  background: 0,
};

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
    return pixelLabels(model, { images, labels, boxes: batch.boxes }, phase === 'affinity', options, show);
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

/** Losses that are parts of a shared batch's become those of the whole batch. */
function averageLosses(result: Record<(typeof LOSSES)[number], number>, ddp: Ddp): void {
  const means = ddp.mean(LOSSES.map((name) => result[name]));
  for (const [i, name] of LOSSES.entries()) result[name] = means[i]!;
}

const LOSSES = ['loss', 'clsLoss', 'segLoss', 'affLoss'] as const;

/**
 * Backward and AdamW; a gradient that is not finite updates nothing. Averaged gradients are the same on all ranks.
 * @param learnt the outputs that the loss is made of
 */
function update(loss: Tensor, learnt: Wanted, optimizer: PolyWarmupAdamW, ddp?: Ddp): 'gradient' | undefined {
  optimizer.zeroGrad();
  span('backward', () => (ddp ? ddp.backward(loss, learnt) : loss.backward()));
  if (!span('finite gradients', () => optimizer.gradientsAreFinite())) return 'gradient';
  span('AdamW', () => optimizer.step());
  return undefined;
}

/**
 * One training step: forward, losses of the phase, backward, update. Leaves no tensor behind.
 * A loss or a gradient that is not finite leaves the model as it was.
 * In the classification phase the decoder does not run; its weights still decay, as in the original.
 * @param logged also what a log shows: agreement, and pictures where the options ask for them. It changes no number.
 */
export function trainStep(
  model: WeTr,
  optimizer: PolyWarmupAdamW,
  batch: Batch,
  phase: Phase,
  options: StepOptions,
  logged = false,
): StepResult {
  return scope(() => {
    const { device, weights, ddp } = options;
    const onDevice = (tensor: Tensor) => (device === 'cpu' ? tensor : tensor.to({ device }));
    const count = batch.names.length;
    const images = onDevice(Tensor.from(batch.images, [count, 3, batch.height, batch.width]));
    const labels = onDevice(Tensor.from(batch.labels, [count, batch.labels.length / count]));

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
    const positive = options.positiveWeights && onDevice(Tensor.from(options.positiveWeights));
    const cls = multilabelSoftMarginLoss(out.cls!, labels, positive);
    let loss = cls.mul(weights.cls);
    const result = { ...NOTHING, phase, lr: optimizer.learningRates()[0]!, clsLoss: cls.item() };
    let segAgreement: number | undefined;
    let logits: Tensor | undefined;
    if (pixels) {
      const { seg, aff, ...head } = span('losses', () =>
        pixelLosses(out.seg!, out.affinity!, pixels, batch, options),
      );
      loss = loss.add(seg.loss.mul(weights.seg)).add(aff.loss.mul(weights.aff));
      const { foreground, background } = seg;
      const { posCount, negCount } = aff;
      Object.assign(result, { segLoss: seg.loss.item(), affLoss: aff.loss.item() });
      Object.assign(result, { foreground, background, posCount, negCount });
      if (logged)
        segAgreement = head.logits
          .detach()
          .argmax(1)
          .eq(pixels.pseudo)
          .to({ dtype: 'float32' })
          .mean()
          .item();
      logits = head.logits;
    }
    result.loss = loss.item();
    // One decision for all processes: a NaN on one of them is a NaN in the mean.
    if (ddp) averageLosses(result, ddp);
    const nonFinite = Number.isFinite(result.loss) ? update(loss, learnt, optimizer, ddp) : 'loss';
    // One NaN would stay in them for ever, and with it in every segmentation.
    if (nonFinite) for (const [own, before] of statistics) own.copy_(before);
    const pictures = show
      ? span('pictures', () =>
          noGrad(() => scope(() => stepPictures({ images, out, pixels, logits }, shown))),
        )
      : undefined;
    return { ...result, segAgreement, nonFinite, pictures };
  });
}
