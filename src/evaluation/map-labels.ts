import { getDownSize } from '../cam/down-size.js';
import { multiScaleCam } from '../cam/multi-scale.js';
import { propagated } from '../cam/pipeline.js';
import { camLabel, validCam } from '../cam/pseudo-labels.js';
import { cellSide } from '../config/checks.js';
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
  /** [B, C, H, W]: maps after one random-walk step, of the classes that each image has, 0..1; absent without `affinity`. */
  refined?: Tensor;
  /** int64 [B, H, W]: the class of which the walk brought most, or background. */
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
    const multi = { cam, affinity, grid: getDownSize([height, width], cellSide(model.options.stride)) };
    const [walked] = propagated(multi, valid, labels, [propagation.bkgScore], propagation.radius);
    const scores = walked!.interpolate([height, width]);
    out.refined = stretchedShares(scores);
    out.affLabels = scores.argmax(1);
  }
  return out;
}

/**
 * Each class's share of what the walk brought to a pixel, stretched to 0..1 for each map as CAMs are. Of one class the softmax
 * before the walk leaves at most 0.41 to 0.66, on which thresholds 0.05 apart are too coarse; and what a pixel gets in all says
 * how much it is like others, not what it is.
 * @param walked [B, 1 + C, H, W]
 * @returns [B, C, H, W], flat maps 0
 */
function stretchedShares(walked: Tensor): Tensor {
  const classes = walked.shape[1]! - 1;
  const shares = walked.narrow(1, 1, classes).div(walked.sum(1, true).add(EPSILON));
  const raised = shares.sub(shares.amin([2, 3], true));
  return raised.div(raised.amax([2, 3], true).add(EPSILON));
}

/** As in the original's scaling of CAMs. */
const EPSILON = 1e-5;
