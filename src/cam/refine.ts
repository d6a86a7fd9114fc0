import { native } from '../native/index.js';
import { span } from '../profile/index.js';
import { Tensor } from '../tensor/index.js';
import type { Boxes } from './boxes.js';
import {
  combineReadings,
  ignoreOutsideBox,
  softmaxWithBackground,
  type Thresholds,
} from './pseudo-labels.js';

export interface ParOptions {
  numIter: number;
  dilations: readonly number[];
}

/**
 * Pixel-adaptive refinement (AFA, section 3.3). Weights depend on the image alone: give every mask of an image
 * in one call.
 * @param images [B, 3, h, w] in 0..1
 * @param masks [B, c, *, *], resized to h x w
 */
export function pixelAdaptiveRefine(images: Tensor, masks: Tensor, par: ParOptions): Tensor {
  const { dilations, numIter } = par;
  const refine = () =>
    native.pixelAdaptiveRefine(Tensor.handle(images), Tensor.handle(masks), dilations, numIter);
  return new Tensor(span('PAR', refine));
}

const half = (size: number) => Math.max(1, Math.floor(size / 2));

/** Refines at half the image's size and brings the masks back to it. */
function refineAtHalfSize(image: Tensor, masks: Tensor, par: ParOptions): Tensor {
  const [, , height, width] = image.shape as [number, number, number, number];
  const small = image.interpolate([half(height), half(width)]);
  return pixelAdaptiveRefine(small, masks, par).interpolate([height, width]);
}

/**
 * Labels from maps refined by PAR, read once with a high and once with a low background score
 * (original: refine_cams_with_bkg_v2).
 * @param images [B, 3, H, W] in 0..1 (denormalize)
 * @param cams [B, C, H, W] maps of 0..1
 * @param labels [B, C]
 * @returns int64 [B, H, W]
 */
export function refinedPseudoLabel(
  images: Tensor,
  cams: Tensor,
  labels: Tensor,
  boxes: Boxes,
  thresholds: Thresholds,
  par: ParOptions,
): Tensor {
  const [, c, height, width] = cams.shape as [number, number, number, number];
  const small = cams.interpolate([half(height), half(width)]);
  const readings = [thresholds.highThre, thresholds.lowThre].map((score) =>
    softmaxWithBackground(small, labels, score),
  );
  const refined = refineAtHalfSize(images, Tensor.cat(readings, 1), par);
  const [strict, lenient] = [0, c + 1].map((start) => refined.narrow(1, start, c + 1).argmax(1));
  const label = combineReadings(strict!, lenient!, thresholds.ignoreIndex);
  return ignoreOutsideBox(label, boxes, thresholds.ignoreIndex);
}

/**
 * PAR inside each image's box, on maps of any number of readings at once (original:
 * refine_cams_with_cls_label, once for each reading).
 * @param images [B, 3, H, W] in 0..1
 * @param cams maps [B, 1 + C, H, W] with background
 * @returns refined maps, 0 outside the box, in the order given
 */
export function refineInBoxes(
  images: Tensor,
  cams: readonly Tensor[],
  boxes: Boxes,
  par: ParOptions,
): Tensor[] {
  const { dilations, numIter } = par;
  const stacked = Tensor.handle(Tensor.cat(cams, 1));
  const corners = Tensor.handle(Tensor.from(boxes, [boxes.length / 4, 4]));
  const refine = () => native.refineInBoxes(Tensor.handle(images), stacked, corners, dilations, numIter);
  const all = new Tensor(span('PAR', refine));
  let start = 0;
  return cams.map((cam) => {
    const channels = cam.shape[1]!;
    const part = all.narrow(1, start, channels);
    start += channels;
    return part;
  });
}

/** The label that two refined readings agree on (see combineReadings): int64 [B, H, W]. */
export function refinedAffLabel(
  strict: Tensor,
  lenient: Tensor,
  boxes: Boxes,
  thresholds: Pick<Thresholds, 'ignoreIndex'>,
): Tensor {
  const label = combineReadings(strict.argmax(1), lenient.argmax(1), thresholds.ignoreIndex);
  return ignoreOutsideBox(label, boxes, thresholds.ignoreIndex);
}
