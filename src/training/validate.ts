import { requireSize } from '../cam/image-size.js';
import type { Config } from '../config/schema.js';
import { classNames } from '../datasets/class-names.js';
import { Team } from '../distributed/index.js';
import { type MapOptions, mapLabels, mapOptions } from '../evaluation/map-labels.js';
import type { Batch } from '../loading/batch.js';
import { batchImages } from '../loading/batch-images.js';
import type { EvalLoader } from '../loading/loader.js';
import { multilabelSoftMarginLoss } from '../losses/index.js';
import { enterEvalMode } from '../models/eval-mode.js';
import type { WeTr } from '../models/wetr.js';
import { beginIteration, endIteration } from '../profile/index.js';
import { type Device, noGrad, scope, Tensor } from '../tensor/index.js';
import type { CaseCollector } from './cases.js';
import { breathe } from './interrupt.js';
import { ScoreAccumulator, type ValidationScores } from './validation-scores.js';

export interface ValidateOptions extends MapOptions {
  device: Device;
  /** Score maps and segmentations too, where masks exist. */
  cam: boolean;
  /** Maps of images without a class too: how much of them lights up for nothing. */
  negativeMaps: boolean;
  /** Gets what is known of each image. */
  cases?: CaseCollector;
  /** The processes that share the images: all get the scores of all. Default: this one alone. */
  team?: Team;
  /** Called after each batch with images done. */
  onProgress?: (done: number, total: number) => void;
  /** Asked between batches. */
  stopWhen?: () => boolean;
}

/** What validation needs of a configuration. */
export function validateOptions(config: Config, device: Device): ValidateOptions {
  const { cam, negative_maps: negativeMaps } = config.val;
  return { ...mapOptions(config), device, cam, negativeMaps };
}

function scoreBatch(model: WeTr, batch: Batch, scores: ScoreAccumulator, options: ValidateOptions): void {
  const { device, scales, propagation } = options;
  const count = batch.names.length;
  const size = [batch.height, batch.width] as const;
  // At every scale, also where no map is scored: the export at the end needs them all.
  requireSize(batch.names[0]!, size, scales, model.options.stride);
  const images = batchImages(batch, device);
  const labels = Tensor.from(batch.labels, [count, scores.numLabels]).to({ device });
  // Pixels are only compared with masks.
  const masked = options.cam && (batch.masks ?? []).some((mask) => mask !== undefined);
  const positive = batch.labels.some((label) => label === 1);
  const mapped = masked && (positive || options.negativeMaps);
  const affinity = masked && positive && propagation !== undefined;
  const out = model.forward(images, { cls: true, seg: masked, cam: mapped, affinity });
  const loss = multilabelSoftMarginLoss(out.cls!, labels).item();
  const probabilities = out.cls!.sigmoid().toFloat32();
  scores.addClassification(batch, loss, probabilities);
  if (!masked) {
    options.cases?.add(batch, probabilities);
    return;
  }
  const seg = out.seg!.interpolate(size).argmax(1).toFloat32();
  if (!mapped) {
    options.cases?.add(batch, probabilities, { seg });
    const background = new Float32Array(seg.length);
    const cams = new Float32Array(scores.numLabels * seg.length);
    scores.addPixels(batch, { seg, cams, camLabels: background, affLabels: background });
    return;
  }
  const maps = mapLabels(model, images, labels, out, options);
  const cams = maps.cam.toFloat32();
  // Images without a class have background alone, propagated or not.
  const affLabels = propagation && (maps.affLabels?.toFloat32() ?? new Float32Array(seg.length));
  scores.addPixels(batch, { seg, cams, camLabels: maps.camLabels.toFloat32(), affLabels });
  options.cases?.add(batch, probabilities, { seg, cam: cams, refined: maps.refined?.toFloat32() });
}

/**
 * Scores a model on every image of a loader, in eval mode; the model's mode is put back.
 * @returns undefined when `stopWhen` ended it early, on any process of the team
 */
export async function validate(
  model: WeTr,
  loader: EvalLoader,
  options: ValidateOptions,
): Promise<ValidationScores | undefined> {
  const { team = new Team(), cases } = options;
  const own = new ScoreAccumulator(classNames(loader.dataset));
  const share = Math.ceil(loader.length / team.size);
  let stopped = false;
  const leaveEvalMode = enterEvalMode(model);
  beginIteration('validation');
  try {
    for (let batch = await loader.next(); batch; batch = await loader.next()) {
      const current = batch;
      noGrad(() => scope(() => scoreBatch(model, current, own, options)));
      options.onProgress?.(own.images, share);
      await breathe();
      stopped = options.stopWhen?.() ?? false;
      if (stopped) break;
      beginIteration('validation');
    }
  } finally {
    endIteration(false);
    leaveEvalMode();
  }
  if (await team.any(stopped)) return undefined;
  const scores = await merged(own, team);
  await cases?.gather(team);
  return scores.result({ cam: options.cam, aff: options.propagation !== undefined });
}

/** Scores over the images of all processes; the same, to the last bit, on each of them. */
async function merged(own: ScoreAccumulator, team: Team): Promise<ScoreAccumulator> {
  if (team.size === 1) return own;
  const all = new ScoreAccumulator(own.classes);
  for (const state of await team.gather(own.state())) all.absorb(state);
  return all;
}
