import { join } from 'node:path';
import { requireSize } from '../cam/image-size.js';
import { Team } from '../distributed/index.js';
import { toRgbBytes } from '../export/attention-maps.js';
import { writeLabelPngAsync } from '../io/label-png.js';
import { VOC_PALETTE } from '../io/voc-palette.js';
import type { Batch } from '../loading/batch.js';
import type { EvalLoader } from '../loading/loader.js';
import type { WeTr } from '../models/wetr.js';
import { beginIteration, endIteration, span } from '../profile/index.js';
import { type Device, noGrad, scope, Tensor } from '../tensor/index.js';
import { LabelScoreAccumulator, type LabelScores } from './label-scores.js';
import { type MapOptions, mapLabels } from './map-labels.js';
import { inputSize, multiScaleSeg, type SegOptions } from './multi-scale-seg.js';
import { classNames } from './score-table.js';

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
  /** The processes that share the images: all get the scores of all. Default: this one alone. */
  team?: Team;
  onProgress?: (done: number, total: number) => void;
  /** Asked between images. */
  stopWhen?: () => boolean;
}

export interface Evaluation {
  /** Names of the classes, background first: the order of `iou` and `dice`. */
  classes: string[];
  images: number;
  /** Images with a mask: those that were scored. */
  masks: number;
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

/** Label maps of one image, [H * W] each; of CAMs only where a mask will be compared with them. */
function labelImage(
  model: WeTr,
  batch: Batch,
  kinds: readonly LabelKind[],
  options: EvaluateOptions,
): Labels {
  const { device, scales, longSide, crf, maps } = options;
  const size = [batch.height, batch.width] as const;
  requireSize(batch.names[0]!, inputSize(size, longSide), scales, model.options.stride, 'test.scales');
  const image = Tensor.from(batch.images, [1, 3, ...size]).to({ device });
  const { single, multi } = multiScaleSeg(model, image, options);
  const atSize = (logits: Tensor) => logits.interpolate(size);
  const out: Labels = { raw: bytes(atSize(single).argmax(1)) };
  if (kinds.includes('multiScale')) out.multiScale = bytes(atSize(multi).argmax(1));
  if (crf) {
    const probabilities = atSize(multi).softmax(1).select(0, 0).to({ device: 'cpu' });
    out.crf = bytes(crf(toRgbBytes(batch.images, size[0] * size[1]), probabilities).argmax(0));
  }
  if (maps && batch.masks?.[0]) Object.assign(out, labelMaps(model, batch, image, maps));
  return out;
}

function labelMaps(model: WeTr, batch: Batch, image: Tensor, maps: MapOptions): Labels {
  if (!batch.labels.includes(1)) {
    // No class, no map: all is background.
    const background = new Uint8Array(batch.height * batch.width);
    return { cam: background, ...(maps.propagation && { affinity: background }) };
  }
  requireSize(batch.names[0]!, [batch.height, batch.width], maps.scales, model.options.stride);
  const { affinity } = model.forward(image, { affinity: maps.propagation !== undefined });
  const labels = Tensor.from(batch.labels, [1, batch.labels.length]).to({ device: image.device });
  const { camLabels, affLabels } = mapLabels(model, image, labels, affinity, maps);
  return { cam: bytes(camLabels), ...(affLabels && { affinity: bytes(affLabels) }) };
}

/**
 * Predicts every image of a loader, one image a batch, writes the most refined label maps and scores all kinds where
 * there are masks. Files are written while the next image is computed; memory does not grow with the images.
 * @returns undefined when `stopWhen` ended it early, on any process of the team; predictions so far are written
 */
export async function evaluateImages(
  model: WeTr,
  loader: EvalLoader,
  options: EvaluateOptions,
): Promise<Evaluation | undefined> {
  const kinds = kindsOf(options);
  const { team = new Team() } = options;
  const { numClasses } = loader.dataset;
  const accumulators = new Map(kinds.map((kind) => [kind, new LabelScoreAccumulator(numClasses)]));
  const predictions = kinds.findLast((kind) => kind !== 'cam' && kind !== 'affinity')!;
  const training = model.training;
  let [images, masks] = [0, 0];
  let stopped = false;
  let writing: Promise<unknown> = Promise.resolve();
  model.eval();
  beginIteration('evaluation');
  try {
    for (let batch = await loader.next(); batch; batch = await loader.next()) {
      const current = batch;
      const labels = noGrad(() => scope(() => labelImage(model, current, kinds, options)));
      await span('wait for files', () => writing);
      const path = join(options.outputDir, `${batch.names[0]}.png`);
      writing = writeLabelPngAsync(path, labels[predictions]!, batch.height, batch.width, VOC_PALETTE);
      writing.catch(() => {});
      images += 1;
      const mask = batch.masks?.[0];
      if (mask) {
        masks += 1;
        for (const [kind, scores] of accumulators) scores.add(mask.data, labels[kind]!, batch.labels);
      }
      options.onProgress?.(images, Math.ceil(loader.length / team.size));
      stopped = options.stopWhen?.() ?? false;
      if (stopped) break;
      beginIteration('evaluation');
    }
  } finally {
    endIteration();
    model.train(training);
    await writing;
  }
  if (await team.any(stopped)) return undefined;
  const own = kinds.map((kind) => accumulators.get(kind)!.state());
  const shares = await team.gather({ images, masks, own });
  const scores = Object.fromEntries(
    kinds.map((kind, k) => {
      const all = new LabelScoreAccumulator(numClasses);
      for (const share of shares) all.absorb(share.own[k]!);
      return [kind, all.result()];
    }),
  );
  const sum = (key: 'images' | 'masks') => shares.reduce((count, share) => count + share[key], 0);
  return {
    classes: classNames(loader.dataset),
    images: sum('images'),
    masks: sum('masks'),
    predictions,
    scores,
  };
}
