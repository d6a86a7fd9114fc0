import { join } from 'node:path';
import { requireSize } from '../cam/image-size.js';
import { classNames } from '../datasets/class-names.js';
import { Team } from '../distributed/index.js';
import { BackgroundWrites } from '../export/background-writes.js';
import { writeLabelPngAsync } from '../io/label-png.js';
import { VOC_PALETTE } from '../io/voc-palette.js';
import type { Batch } from '../loading/batch.js';
import { batchImages } from '../loading/batch-images.js';
import { batchRgb } from '../loading/batch-pixels.js';
import type { EvalLoader } from '../loading/loader.js';
import { enterEvalMode } from '../models/eval-mode.js';
import type { WeTr } from '../models/wetr.js';
import { beginIteration, endIteration } from '../profile/index.js';
import { type Device, noGrad, scope, Tensor } from '../tensor/index.js';
import type { FinishedPredictions, ImageScores } from './finished-predictions.js';
import { LabelScoreAccumulator, type LabelScores } from './label-scores.js';
import { type MapOptions, mapLabels } from './map-labels.js';
import { inputSize, multiScaleSeg, type SegOptions } from './multi-scale-seg.js';

/** Kinds of label maps, from the plain to the refined; CAM and affinity CAM know the image's labels. */
export const LABEL_KINDS = ['raw', 'multiScale', 'crf', 'cam', 'affinity'] as const;
export type LabelKind = (typeof LABEL_KINDS)[number];

/** Refines class probabilities [C, H, W] by the image's colours, [H * W * 3] bytes. */
export type Refine = (rgb: Uint8Array, probabilities: Tensor) => Tensor;

export interface EvaluateOptions extends SegOptions {
  device: Device;
  /** Post-processing of the multi-scale probabilities; absent: none. */
  crf?: Refine;
  /** Score class activation maps too; absent: they are not computed. */
  maps?: MapOptions;
  /** Where predictions go, as {name}.png. It exists. */
  outputDir: string;
  /** What earlier runs have done, which the loader leaves out; gets what this one does. Absent: everything is done. */
  finished?: FinishedPredictions;
  /** The processes that share the images: all get the scores of all. Default: this one alone. */
  team?: Team;
  onProgress?: (done: number, total: number) => void;
  /** Asked between batches. */
  stopWhen?: () => boolean;
}

export interface Evaluation {
  /** Names of the classes, background first: the order of `iou` and `dice`. */
  classes: string[];
  images: number;
  /** Images with a mask: those that were scored. */
  masks: number;
  /** Images that earlier runs had predicted. */
  reused: number;
  /** Which label maps were written: the most refined ones. */
  predictions: LabelKind;
  /** The kinds that were asked for; null where there are no masks. */
  scores: Partial<Record<LabelKind, LabelScores | null>>;
}

type Labels = Partial<Record<LabelKind, Uint8Array>>;

/** What will be computed, in order. */
function kindsOf({ scales, flip, crf, maps }: EvaluateOptions): LabelKind[] {
  const wanted: Record<LabelKind, boolean> = {
    raw: true,
    multiScale: flip || scales.some((scale) => scale !== 1),
    crf: crf !== undefined,
    cam: maps !== undefined,
    affinity: maps?.propagation !== undefined,
  };
  return LABEL_KINDS.filter((kind) => wanted[kind]);
}

const bytes = (labels: Tensor): Uint8Array => labels.to({ dtype: 'uint8' }).data() as Uint8Array;

/** Label maps of a batch, [B * H * W] each; of CAMs only where a mask will be compared with them. */
function labelBatch(
  model: WeTr,
  batch: Batch,
  kinds: readonly LabelKind[],
  options: EvaluateOptions,
): Labels {
  const { device, scales, longSide, crf, maps } = options;
  const size = [batch.height, batch.width] as const;
  requireSize(batch.names[0]!, inputSize(size, longSide), scales, model.options.stride, 'test.scales');
  const images = batchImages(batch, device);
  const { single, multi } = multiScaleSeg(model, images, options);
  const atSize = (logits: Tensor) => logits.interpolate(size);
  const out: Labels = { raw: bytes(atSize(single).argmax(1)) };
  if (kinds.includes('multiScale')) out.multiScale = bytes(atSize(multi).argmax(1));
  if (crf) {
    const probabilities = atSize(multi).softmax(1).to({ device: 'cpu' });
    out.crf = refined(batch, (rgb, image) => crf(rgb, probabilities.select(0, image)));
  }
  if (maps && batch.masks?.some((mask) => mask)) Object.assign(out, labelMaps(model, batch, images, maps));
  return out;
}

/** Post-processing works on one image after the other. */
function refined(batch: Batch, refine: (rgb: Uint8Array, image: number) => Tensor): Uint8Array {
  const pixels = batch.height * batch.width;
  const out = new Uint8Array(batch.names.length * pixels);
  for (let i = 0; i < batch.names.length; i++)
    out.set(bytes(refine(batchRgb(batch, i), i).argmax(0)), i * pixels);
  return out;
}

function labelMaps(model: WeTr, batch: Batch, images: Tensor, maps: MapOptions): Labels {
  const count = batch.names.length;
  if (!batch.labels.includes(1)) {
    // No class, no map: all is background.
    const background = new Uint8Array(count * batch.height * batch.width);
    return { cam: background, ...(maps.propagation && { affinity: background }) };
  }
  requireSize(batch.names[0]!, [batch.height, batch.width], maps.scales, model.options.stride);
  const pass = model.forward(images, { cam: true, affinity: maps.propagation !== undefined });
  const labels = Tensor.from(batch.labels, [count, batch.labels.length / count]).to({
    device: images.device,
  });
  const { camLabels, affLabels } = mapLabels(model, images, labels, pass, maps);
  return { cam: bytes(camLabels), ...(affLabels && { affinity: bytes(affLabels) }) };
}

/** What one image adds to the scores of each kind; null without a mask. */
function imageScores(
  { masks, labels, names }: Batch,
  image: number,
  labelOf: (kind: LabelKind) => Uint8Array,
  kinds: readonly LabelKind[],
  numClasses: number,
): ImageScores {
  const mask = masks?.[image];
  if (!mask) return null;
  const classes = labels.length / names.length;
  const present = labels.subarray(image * classes, (image + 1) * classes);
  return Object.fromEntries(
    kinds.map((kind) => {
      const scores = new LabelScoreAccumulator(numClasses);
      scores.add(mask.data, labelOf(kind), present);
      return [kind, scores.state()];
    }),
  );
}

/**
 * Predicts every image of a loader, writes the most refined label maps and scores all kinds where there are masks.
 * Files are written while the next images are computed; memory does not grow with their number.
 * @returns undefined when `stopWhen` ended it early, on any process of the team; predictions so far are written
 */
export async function evaluateImages(
  model: WeTr,
  loader: EvalLoader,
  options: EvaluateOptions,
): Promise<Evaluation | undefined> {
  const kinds = kindsOf(options);
  const { team = new Team(), finished } = options;
  const { numClasses } = loader.dataset;
  const accumulators = new Map(kinds.map((kind) => [kind, new LabelScoreAccumulator(numClasses)]));
  const predictions = kinds.findLast((kind) => kind !== 'cam' && kind !== 'affinity')!;
  let [images, masks] = [0, 0];
  const count = (scores: ImageScores) => {
    images += 1;
    if (!scores) return;
    masks += 1;
    for (const [kind, accumulator] of accumulators) accumulator.absorb(scores[kind]!);
  };
  for (const scores of finished?.scores() ?? []) count(scores);
  const reused = images;
  let stopped = false;
  const writes = new BackgroundWrites();
  const leaveEvalMode = enterEvalMode(model);
  beginIteration('evaluation');
  try {
    for (let batch = await loader.next(); batch; batch = await loader.next()) {
      const current = batch;
      const labels = noGrad(() => scope(() => labelBatch(model, current, kinds, options)));
      const { height, width } = batch;
      for (const [i, name] of batch.names.entries()) {
        const part = (all: Uint8Array) => all.subarray(i * height * width, (i + 1) * height * width);
        const prediction = part(labels[predictions]!);
        const scores = imageScores(current, i, (kind) => part(labels[kind]!), kinds, numClasses);
        count(scores);
        await writes.add(prediction.length, async () => {
          const path = join(options.outputDir, `${name}.png`);
          await writeLabelPngAsync(path, prediction, height, width, VOC_PALETTE);
          await finished?.add(name, scores);
        });
      }
      options.onProgress?.(images, Math.ceil(loader.length / team.size));
      stopped = options.stopWhen?.() ?? false;
      if (stopped) break;
      beginIteration('evaluation');
    }
    await writes.finish();
  } finally {
    endIteration(false);
    leaveEvalMode();
    await writes.settle();
  }
  if (await team.any(stopped)) return undefined;
  const own = kinds.map((kind) => accumulators.get(kind)!.state());
  const shares = await team.gather({ images, masks, reused, own });
  const scores = Object.fromEntries(
    kinds.map((kind, k) => {
      const all = new LabelScoreAccumulator(numClasses);
      for (const share of shares) all.absorb(share.own[k]!);
      return [kind, all.result()];
    }),
  );
  const sum = (key: 'images' | 'masks' | 'reused') => shares.reduce((count, share) => count + share[key], 0);
  return {
    classes: classNames(loader.dataset),
    images: sum('images'),
    masks: sum('masks'),
    reused: sum('reused'),
    predictions,
    scores,
  };
}
