import { getDownSize } from '../cam/down-size.js';
import { requireSize } from '../cam/image-size.js';
import { multiScaleCam } from '../cam/multi-scale.js';
import { propagated } from '../cam/pipeline.js';
import { camLabel, validCam } from '../cam/pseudo-labels.js';
import type { Config } from '../config/schema.js';
import type { Batch } from '../loading/batch.js';
import type { EvalLoader } from '../loading/loader.js';
import { multilabelSoftMarginLoss } from '../losses/index.js';
import type { WeTr } from '../models/wetr.js';
import { type Device, noGrad, scope, Tensor } from '../tensor/index.js';
import { breathe } from './interrupt.js';
import { ScoreAccumulator, type ValidationScores } from './validation-scores.js';

export interface ValidateOptions {
  device: Device;
  scales: readonly number[];
  numClasses: number;
  /** Score maps and segmentations too, where masks exist. */
  cam: boolean;
  /** A CAM above it is foreground in the cam score. */
  bkgScore: number;
  /** How maps are propagated for the aff score; absent: they are not. */
  propagation?: { bkgScore: number; radius: number };
  /** Called after each batch with images done. */
  onProgress?: (done: number, total: number) => void;
  /** Asked between batches. */
  stopWhen?: () => boolean;
}

/** What validation needs of a configuration. The original propagates with a background score of 0.35: its low_thre. */
export function validateOptions({ cam, dataset, train, val }: Config, device: Device): ValidateOptions {
  return {
    device,
    scales: cam.scales,
    numClasses: dataset.num_classes,
    cam: val.cam,
    bkgScore: cam.bkg_score,
    ...(val.aff && { propagation: { bkgScore: cam.low_thre, radius: train.radius } }),
  };
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
  const { cam } = multiScaleCam(model, images, { scales });
  const valid = validCam(cam, labels);
  const camLabels = camLabel(valid, options.bkgScore).toFloat32();
  const result = { seg, cams: cam.toFloat32(), camLabels };
  scores.addPixels(batch, propagation ? { ...result, affLabels: affinityLabels() } : result);

  /** With the affinity of the image as it is, not of its largest scale: as the original validates. */
  function affinityLabels(): Float32Array {
    const grid = getDownSize(
      size,
      model.options.stride.reduce((product, s) => product * s, 1),
    );
    const multi = { cam, affinity: out.affinity!, grid };
    const [walked] = propagated(multi, valid, labels, [propagation!.bkgScore], propagation!.radius);
    return walked!.interpolate(size).argmax(1).toFloat32();
  }
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
