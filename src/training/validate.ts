import { requireSize } from '../cam/image-size.js';
import type { Config } from '../config/schema.js';
import { type MapOptions, mapLabels, mapOptions } from '../evaluation/map-labels.js';
import type { Batch } from '../loading/batch.js';
import type { EvalLoader } from '../loading/loader.js';
import { multilabelSoftMarginLoss } from '../losses/index.js';
import type { WeTr } from '../models/wetr.js';
import { type Device, noGrad, scope, Tensor } from '../tensor/index.js';
import { breathe } from './interrupt.js';
import { ScoreAccumulator, type ValidationScores } from './validation-scores.js';

export interface ValidateOptions extends MapOptions {
  device: Device;
  numClasses: number;
  /** Score maps and segmentations too, where masks exist. */
  cam: boolean;
  /** Called after each batch with images done. */
  onProgress?: (done: number, total: number) => void;
  /** Asked between batches. */
  stopWhen?: () => boolean;
}

/** What validation needs of a configuration. */
export function validateOptions(config: Config, device: Device): ValidateOptions {
  const { dataset, val } = config;
  return { ...mapOptions(config), device, numClasses: dataset.num_classes, cam: val.cam };
}

function scoreBatch(model: WeTr, batch: Batch, scores: ScoreAccumulator, options: ValidateOptions): void {
  const { device, scales, propagation } = options;
  const count = batch.names.length;
  const size = [batch.height, batch.width] as const;
  // At every scale, also where no map is scored: the export at the end needs them all.
  requireSize(batch.names[0]!, size, scales, model.options.stride);
  const images = Tensor.from(batch.images, [count, 3, ...size]).to({ device });
  const labels = Tensor.from(batch.labels, [count, scores.numLabels]).to({ device });
  // Pixels are only compared with masks, and maps show only classes that an image has.
  const masked = options.cam && (batch.masks ?? []).some((mask) => mask !== undefined);
  const mapped = masked && batch.labels.some((label) => label === 1);
  const out = model.forward(images, { cls: true, seg: masked, affinity: mapped && !!propagation });
  const loss = multilabelSoftMarginLoss(out.cls!, labels).item();
  scores.addClassification(batch, loss, out.cls!.sigmoid().toFloat32());
  if (!masked) return;
  const seg = out.seg!.interpolate(size).argmax(1).toFloat32();
  if (!mapped) {
    const background = new Float32Array(seg.length);
    const cams = new Float32Array(scores.numLabels * seg.length);
    scores.addPixels(batch, { seg, cams, camLabels: background, affLabels: background });
    return;
  }
  const { cam, camLabels, affLabels } = mapLabels(model, images, labels, out.affinity, options);
  scores.addPixels(batch, {
    seg,
    cams: cam.toFloat32(),
    camLabels: camLabels.toFloat32(),
    affLabels: affLabels?.toFloat32(),
  });
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
  const scores = new ScoreAccumulator(options.numClasses - 1);
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
  return scores.result({ cam: options.cam, aff: options.propagation !== undefined });
}
