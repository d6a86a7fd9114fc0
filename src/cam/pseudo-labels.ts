import { Tensor } from '../tensor/index.js';
import type { Boxes } from './boxes.js';
import { boxMask } from './boxes.js';

export interface Thresholds {
  /** CAM at or below this is background (labels without an ignored middle). */
  bkgScore: number;
  /** CAM above this is certainly foreground. */
  highThre: number;
  /** CAM at or below this is certainly background; between the two: ignored. */
  lowThre: number;
  ignoreIndex: number;
}

/** Maps of classes that the image does not have are zeroed. cam [B, C, H, W], labels [B, C] of 0 and 1. */
export function validCam(cam: Tensor, labels: Tensor): Tensor {
  const [b, c] = labels.shape as [number, number];
  return cam.mul(labels.reshape(b, c, 1, 1));
}

/** Keeps a label inside each image's box and ignores the padding around it (original: ignore_img_box). */
export function ignoreOutsideBox(label: Tensor, boxes: Boxes, ignoreIndex: number): Tensor {
  const [, height, width] = label.shape as [number, number, number];
  return label.maskedFill(boxMask(boxes, height, width, label.device).logicalNot(), ignoreIndex);
}

/**
 * Pixel labels from maps: the strongest class where it is sure, background where all are weak, ignored between
 * and outside the image's box (original: cam_to_label with ignore_mid).
 * @param valid [B, C, H, W] from validCam
 * @returns int64 [B, H, W]
 */
export function camToLabel(valid: Tensor, boxes: Boxes, thresholds: Thresholds): Tensor {
  const { values, indices } = valid.max(1);
  const label = indices
    .add(1)
    .maskedFill(values.le(thresholds.bkgScore), 0)
    .maskedFill(values.le(thresholds.highThre), thresholds.ignoreIndex)
    .maskedFill(values.le(thresholds.lowThre), 0);
  return ignoreOutsideBox(label, boxes, thresholds.ignoreIndex);
}

/**
 * Labels without an ignored middle: the strongest class where its map is above the background score (original:
 * cam_to_label as validate() calls it).
 * @param valid [B, C, H, W] from validCam
 * @returns int64 [B, H, W]
 */
export function camLabel(valid: Tensor, bkgScore: number): Tensor {
  const { values, indices } = valid.max(1);
  return indices.add(1).maskedFill(values.le(bkgScore), 0);
}

/**
 * One label from a strict and a lenient reading of the same maps: foreground where the strict one (high
 * background score) says so, background where both do, ignored where they disagree. [B, H, W] each.
 */
export function combineReadings(strict: Tensor, lenient: Tensor, ignoreIndex: number): Tensor {
  const unsure = strict.maskedFill(strict.eq(0), ignoreIndex);
  return unsure.maskedFill(strict.add(lenient).eq(0), 0);
}

/** [B, 1 + C]: background is always there. */
export function withBackground(labels: Tensor): Tensor {
  const [b] = labels.shape as [number];
  return Tensor.cat([Tensor.ones([b, 1], labels.dtype, labels.device), labels], 1);
}

/**
 * Background at a constant score beside the maps, as probabilities over the classes that the image has:
 * [B, 1 + C, H, W], 0 for the others.
 */
export function softmaxWithBackground(cams: Tensor, labels: Tensor, bkgScore: number): Tensor {
  const [b, c, h, w] = cams.shape as [number, number, number, number];
  const background = Tensor.full([b, 1, h, w], bkgScore, cams.dtype, cams.device);
  const absent = withBackground(labels)
    .eq(0)
    .reshape(b, c + 1, 1, 1);
  return Tensor.cat([background, cams], 1).maskedFill(absent, Number.NEGATIVE_INFINITY).softmax(1);
}
