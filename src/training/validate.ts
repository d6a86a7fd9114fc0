import { requireSize } from '../cam/image-size.js';
import { multiScaleCam } from '../cam/multi-scale.js';
import type { Batch } from '../loading/batch.js';
import type { EvalLoader } from '../loading/loader.js';
import { multilabelSoftMarginLoss } from '../losses/index.js';
import { CamAccumulator, MultiLabelAccumulator, SegDiceAccumulator } from '../metrics/index.js';
import type { WeTr } from '../models/wetr.js';
import { type Device, noGrad, scope, Tensor } from '../tensor/index.js';
import { breathe } from './interrupt.js';

/** Scores over one split. A score that cannot be computed is null, and `reasons` says why. */
export interface ValidationScores {
  images: number;
  /** Classification loss, mean over images. */
  loss: number;
  auroc: number | null;
  accuracy: number | null;
  f1: number | null;
  sensitivity: number | null;
  specificity: number | null;
  /** Mean Dice of multi-scale CAM > threshold over positive slices, "0.05" to "0.95". */
  camDice: Record<string, number> | null;
  /** The threshold of highest camDice, and that Dice. */
  camDiceBest: { threshold: string; dice: number } | null;
  /** Mean Dice of the segmentation head over positive slices. */
  segDice: number | null;
  /** Share of positive slices whose CAM maximum lies in the mask. */
  pointingGame: number | null;
  reasons: Record<string, string>;
}

export interface ValidateOptions {
  device: Device;
  scales: readonly number[];
  numClasses: number;
  /** Score maps and segmentations too, where masks exist. */
  cam: boolean;
  /** Called after each batch with images done. */
  onProgress?: (done: number, total: number) => void;
  /** Asked between batches. */
  stopWhen?: () => boolean;
}

/** Accumulators of one pass. */
class Scores {
  readonly classification: MultiLabelAccumulator;
  readonly cam = new CamAccumulator();
  readonly seg = new SegDiceAccumulator();
  images = 0;
  masks = 0;
  lossSum = 0;

  constructor(readonly numLabels: number) {
    this.classification = new MultiLabelAccumulator(numLabels);
  }

  addLocalisation(batch: Batch, cams: Float32Array, predictions: Float32Array): void {
    const pixels = batch.height * batch.width;
    for (const [i, mask] of (batch.masks ?? []).entries()) {
      if (!mask) continue;
      this.masks += 1;
      for (let c = 0; c < this.numLabels; c++) {
        const label = i * this.numLabels + c;
        if (batch.labels[label] !== 1) continue;
        this.cam.add(cams.subarray(label * pixels, (label + 1) * pixels), mask.data, c + 1);
        this.seg.add(predictions.subarray(i * pixels, (i + 1) * pixels), mask.data, c + 1);
      }
    }
  }

  result(cam: boolean): ValidationScores {
    const { mean, reasons } = this.classification.result();
    const { auroc, accuracy, f1, sensitivity, specificity } = mean;
    const scores = { images: this.images, loss: this.lossSum / this.images };
    const classification = { ...scores, auroc, accuracy, f1, sensitivity, specificity };
    if (!cam || this.masks === 0) {
      const why = cam ? 'no masks beside the slices' : 'val.cam is false';
      const absent = { camDice: why, segDice: why, pointingGame: why };
      const none = { camDice: null, camDiceBest: null, segDice: null, pointingGame: null };
      return { ...classification, ...none, reasons: { ...reasons, ...absent } };
    }
    const maps = this.cam.result();
    const seg = this.seg.result();
    return {
      ...classification,
      camDice: maps.camDice,
      camDiceBest: maps.best,
      segDice: seg.segDice,
      pointingGame: maps.pointingGame,
      reasons: { ...reasons, ...maps.reasons, ...seg.reasons },
    };
  }
}

function scoreBatch(model: WeTr, batch: Batch, scores: Scores, options: ValidateOptions): void {
  const { device } = options;
  const count = batch.names.length;
  const { height, width } = batch;
  // At every scale, also where no map is scored: the export at the end needs them all.
  requireSize(batch.names[0]!, [height, width], options.scales, model.options.stride);
  const host = Tensor.from(batch.images, [count, 3, height, width]);
  const images = device === 'cpu' ? host : host.to({ device });
  const labels = Tensor.from(batch.labels, [count, scores.numLabels]).to({ device });
  // Maps are only compared with masks: without one, or without a class, there is nothing to localise.
  const localise = options.cam && (batch.masks ?? []).some((mask) => mask !== undefined);
  const out = model.forward(images, { cls: true, seg: localise });
  scores.lossSum += multilabelSoftMarginLoss(out.cls!, labels).item() * count;
  const probabilities = out.cls!.sigmoid().toFloat32();
  for (let i = 0; i < count; i++) {
    const row = (values: Float32Array) => values.subarray(i * scores.numLabels, (i + 1) * scores.numLabels);
    scores.classification.add(row(probabilities), row(batch.labels));
  }
  scores.images += count;
  if (!localise || !batch.labels.some((label) => label === 1)) {
    scores.masks += (batch.masks ?? []).filter(Boolean).length;
    return;
  }
  const { cam } = multiScaleCam(model, images, { scales: options.scales });
  const prediction = out.seg!.interpolate([height, width]).argmax(1);
  scores.addLocalisation(batch, cam.toFloat32(), prediction.toFloat32());
}

/**
 * Scores a model on every image of a loader, in eval mode; the model's mode is put back.
 * @returns undefined when `stopWhen` ended it early
 */
export async function validate(
  model: WeTr,
  loader: EvalLoader,
  options: ValidateOptions,
): Promise<ValidationScores | undefined> {
  const training = model.training;
  const scores = new Scores(options.numClasses - 1);
  model.eval();
  try {
    for (let batch = await loader.next(); batch; batch = await loader.next()) {
      const current = batch;
      noGrad(() => scope(() => scoreBatch(model, current, scores, options)));
      options.onProgress?.(scores.images, loader.length);
      await breathe();
      if (options.stopWhen?.()) return undefined;
    }
  } finally {
    model.train(training);
  }
  return scores.result(options.cam);
}
