import { getDownSize } from '../cam/down-size.js';
import { multiScaleCam } from '../cam/multi-scale.js';
import { propagated } from '../cam/pipeline.js';
import { camLabel, validCam } from '../cam/pseudo-labels.js';
import type { Config } from '../config/schema.js';
import type { WeTr, WeTrOutput } from '../models/wetr.js';
import type { Tensor } from '../tensor/index.js';

export interface MapOptions {
  scales: readonly number[];
  /** A CAM above it is foreground in the cam score. */
  bkgScore: number;
  /** How maps are propagated for the aff score; absent: they are not. */
  propagation?: { bkgScore: number; radius: number };
}

/** As the original's validate(), whose background score of 0.35 for propagated maps is its low_thre. */
export function mapOptions({ cam, train, val }: Config): MapOptions {
  return {
    scales: cam.scales,
    bkgScore: cam.bkg_score,
    ...(val.aff && { propagation: { bkgScore: cam.low_thre, radius: train.radius } }),
  };
}

export interface MapLabels {
  /** [B, C, H, W]: multi-scale maps of every class. */
  cam: Tensor;
  /** int64 [B, H, W]: maps above the background score. */
  camLabels: Tensor;
  /** [B, C, H, W]: maps after one random-walk step, of the classes that each image has; absent without `affinity`. */
  refined?: Tensor;
  /** int64 [B, H, W]: the strongest class of `refined`, or background. */
  affLabels?: Tensor;
}

/**
 * Label maps from class activation maps of the classes that each image has.
 * @param images [B, 3, H, W], normalised
 * @param labels [B, C]
 * @param pass what a pass at scale 1 gave: `affinity`, which the original validates with (training walks with that of
 *   the largest scale), absent: maps are not propagated; `cam`, which then needs no pass of its own
 */
export function mapLabels(
  model: WeTr,
  images: Tensor,
  labels: Tensor,
  { affinity, cam: scaleOne }: Pick<WeTrOutput, 'affinity' | 'cam'>,
  { scales, bkgScore, propagation }: MapOptions,
): MapLabels {
  const [, , height, width] = images.shape as [number, number, number, number];
  const { cam } = multiScaleCam(model, images, {
    scales,
    // A GPU repeats that pass as part of a graph: launches cost it more.
    scaleOne: images.device.startsWith('cuda') ? undefined : scaleOne,
  });
  const valid = validCam(cam, labels);
  const out: MapLabels = { cam, camLabels: camLabel(valid, bkgScore) };
  if (affinity && propagation) {
    const stride = model.options.stride.reduce((product, s) => product * s, 1);
    const multi = { cam, affinity, grid: getDownSize([height, width], stride) };
    const [walked] = propagated(multi, valid, labels, [propagation.bkgScore], propagation.radius);
    const scores = walked!.interpolate([height, width]);
    out.refined = scores.narrow(1, 1, cam.shape[1]!);
    out.affLabels = scores.argmax(1);
  }
  return out;
}
