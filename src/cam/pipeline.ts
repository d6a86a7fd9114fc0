import type { WeTr } from '../models/wetr.js';
import { span } from '../profile/index.js';
import { noGrad, scope, Tensor } from '../tensor/index.js';
import { propagateCams } from './affinity.js';
import type { Boxes } from './boxes.js';
import { denormalize } from './denormalize.js';
import { type MultiScaleCam, multiScaleCam } from './multi-scale.js';
import { camToLabel, type Thresholds, validCam } from './pseudo-labels.js';
import { type ParOptions, refinedAffLabel, refinedPseudoLabel, refineInBoxes } from './refine.js';

export interface PipelineOptions {
  scales: readonly number[];
  thresholds: Thresholds;
  par: ParOptions;
  radius: number;
  /** After the switch, affinity may still learn from the labels of before it (VOC) instead of the new ones. */
  affinitySource: 'refined_pseudo_label' | 'refined_aff_label';
  /** Images a CAM pass; see MultiScaleOptions.chunk. */
  chunk?: number;
}

/** What a training step learns from and what its log shows. */
export interface PixelLabels {
  /** int64 [B, H, W], ignoreIndex where unknown: what segmentation learns from. */
  refined: Tensor;
  /** The same form: what affinity learns from. */
  affinity: Tensor;
  /** int64 [B, H, W]: maps thresholded, before any refinement. */
  pseudo: Tensor;
  /** [B, C, H, W]: multi-scale maps of the classes that each image has. */
  validCam: Tensor;
  /** The lenient reading (low background score) of propagated maps, [B, C, H, W]; when asked for, after the switch. */
  propagated?: { affCam: Tensor; refinedAffCam: Tensor };
}

interface Input {
  /** [B, 3, H, W], normalised. */
  images: Tensor;
  /** [B, C] of 0 and 1. */
  labels: Tensor;
  boxes: Boxes;
  /** The labels once more, on the host, where a caller has them: reading them back makes the host wait for a GPU. */
  hostLabels?: Float32Array;
  /** [B, C, h, w]: maps at scale 1 of a pass made already, or none; see MultiScaleOptions.scaleOne. */
  scaleOne?: Tensor;
}

/** Images that have a class: the maps of the others are not used by anything, so they are not computed. */
function positives({ labels, hostLabels }: Input): number[] {
  const [b, c] = labels.shape as [number, number];
  const values = hostLabels ?? labels.toFloat32();
  const rows = Array.from({ length: b }, (_, i) => i);
  return rows.filter((i) => values.subarray(i * c, (i + 1) * c).some((v) => v > 0));
}

function take({ images, labels, boxes, scaleOne }: Input, rows: number[]): Input {
  const index = Tensor.from(BigInt64Array.from(rows, BigInt)).to({ device: images.device });
  const picked = new Int32Array(rows.length * 4);
  for (const [i, row] of rows.entries()) picked.set(boxes.subarray(4 * row, 4 * row + 4), 4 * i);
  return {
    images: images.indexSelect(0, index),
    labels: labels.indexSelect(0, index),
    boxes: picked,
    scaleOne: scaleOne?.indexSelect(0, index),
  };
}

/** Labels of the images that have a class; see pixelLabels. */
function labelPositives(
  model: WeTr,
  input: Input,
  useAffinity: boolean,
  options: PipelineOptions,
  keepPropagated: boolean,
): PixelLabels {
  const { thresholds, par, scales, radius, chunk } = options;
  const { images, labels, boxes, scaleOne } = input;
  const [, , height, width] = images.shape as [number, number, number, number];
  const multi = multiScaleCam(model, images, { scales, affinity: useAffinity, chunk, scaleOne });
  const valid = validCam(multi.cam, labels);
  const out = { pseudo: camToLabel(valid, boxes, thresholds), validCam: valid };
  const colours = denormalize(images);
  const fromCam = () => refinedPseudoLabel(colours, multi.cam, labels, boxes, thresholds, par);
  if (!useAffinity) {
    const refined = fromCam();
    return { ...out, refined, affinity: refined };
  }

  const scores = [thresholds.highThre, thresholds.lowThre];
  const [strict, lenient] = span('propagation', () => propagated(multi, valid, labels, scores, radius)).map(
    (cam) => cam.interpolate([height, width]),
  );
  const [refinedStrict, refinedLenient] = refineInBoxes(colours, [strict!, lenient!], boxes, par);
  const refined = refinedAffLabel(refinedStrict!, refinedLenient!, boxes, thresholds);
  const affinity = options.affinitySource === 'refined_aff_label' ? refined : fromCam();
  if (!keepPropagated) return { ...out, refined, affinity };
  const foreground = (cam: Tensor) => cam.narrow(1, 1, cam.shape[1]! - 1);
  const kept = { affCam: foreground(lenient!), refinedAffCam: foreground(refinedLenient!) };
  return { ...out, refined, affinity, propagated: kept };
}

/** Maps after one random-walk step, for each background score: [B, 1 + C, h, w] on the affinity's grid. */
export function propagated(
  multi: MultiScaleCam,
  valid: Tensor,
  labels: Tensor,
  scores: readonly number[],
  radius: number,
): Tensor[] {
  const small = valid.interpolate([multi.grid[0], multi.grid[1]]);
  return propagateCams(small, multi.affinity!, labels, scores, radius);
}

/** Puts rows computed for some images among all of them, the rest at `rest`. */
function spread(part: Tensor, rows: number[], batch: number, rest: number): Tensor {
  if (rows.length === batch) return part;
  const where = new BigInt64Array(batch).fill(BigInt(rows.length));
  rows.forEach((row, i) => {
    where[row] = BigInt(i);
  });
  const filler = Tensor.full([1, ...part.shape.slice(1)], rest, part.dtype, part.device);
  const index = Tensor.from(where).to({ device: part.device });
  return Tensor.cat([part, filler], 0).indexSelect(0, index);
}

/**
 * Pixel labels for one batch. Before the switch iteration: maps refined by PAR. After it (`useAffinity`): maps
 * propagated by the predicted affinity, then refined by PAR (AFA, figure 2).
 * @param keepPropagated return the propagated maps too, which are otherwise freed at once
 */
export function pixelLabels(
  model: WeTr,
  input: Input,
  useAffinity: boolean,
  options: PipelineOptions,
  keepPropagated = false,
): PixelLabels {
  return noGrad(() =>
    scope(() => {
      const [batch, classes] = input.labels.shape as [number, number];
      const [, , height, width] = input.images.shape as [number, number, number, number];
      const rows = positives(input);
      const { ignoreIndex } = options.thresholds;
      const { device } = input.images;
      const background = () => {
        const zeros = Tensor.zeros([batch, 1, height, width], 'float32', device);
        return camToLabel(zeros, input.boxes, options.thresholds);
      };
      if (rows.length === 0)
        return {
          refined: background(),
          affinity: background(),
          pseudo: background(),
          validCam: Tensor.zeros([batch, classes, height, width], 'float32', device),
        };
      const all = rows.length === batch;
      const part = labelPositives(
        model,
        all ? input : take(input, rows),
        useAffinity,
        options,
        keepPropagated,
      );
      if (all) return part;
      const absent = background();
      const merge = (label: Tensor) => {
        const filled = spread(label, rows, batch, ignoreIndex);
        const isRow = new Uint8Array(batch);
        for (const row of rows) isRow[row] = 1;
        return Tensor.where(Tensor.from(isRow, [batch, 1, 1], 'bool').to({ device }), filled, absent);
      };
      const spreadCam = (cam: Tensor) => spread(cam, rows, batch, 0);
      const merged: PixelLabels = {
        refined: merge(part.refined),
        affinity: merge(part.affinity),
        pseudo: merge(part.pseudo),
        validCam: spreadCam(part.validCam),
      };
      if (part.propagated) {
        const { affCam, refinedAffCam } = part.propagated;
        merged.propagated = { affCam: spreadCam(affCam), refinedAffCam: spreadCam(refinedAffCam) };
      }
      return merged;
    }),
  );
}
