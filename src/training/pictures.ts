/** Pictures of a training step for TensorBoard, under the original's tags, as RGB grids (utils/imutils.py there). */
import { denormalize } from '../cam/denormalize.js';
import type { PixelLabels } from '../cam/pipeline.js';
import { makeGrid, type Picture } from '../export/grid.js';
import { colorize, JET_LUT } from '../export/palette.js';
import type { WeTrOutput } from '../models/wetr.js';
import type { Tensor } from '../tensor/index.js';
import { attentionPictures } from './attention-pictures.js';

/** What a step has to show. */
export interface Shown {
  /** [B, 3, H, W], normalised. */
  images: Tensor;
  out: WeTrOutput;
  /** Absent in the classification phase. */
  pixels?: PixelLabels;
  /** [B, numClasses, H, W] segmentation logits. */
  logits?: Tensor;
}

/** Larger images are shown smaller: what a picture costs must not grow with the crop. */
const LARGEST_SIDE = 512;
const COLUMNS = 2;

/** The first `count` images, [count, C, H, W], at the size at which they are shown. */
function shrink(images: Tensor, count: number, mode: 'bilinear' | 'nearest'): Tensor {
  const [batch, , height, width] = images.shape as [number, number, number, number];
  const some = images.detach().narrow(0, 0, Math.min(count, batch));
  const factor = LARGEST_SIDE / Math.max(height, width);
  if (factor >= 1) return some;
  const size = [height, width].map((side) => Math.max(1, Math.round(side * factor)));
  return some.interpolate(size as [number, number], mode);
}

/** Splits values of several images, of `each` numbers. */
const tiles = <T extends Float32Array | Uint8Array>(values: T, each: number): T[] =>
  Array.from({ length: values.length / each }, (_, i) => values.subarray(i * each, (i + 1) * each) as T);

/** Jet colours of the strongest class and image, half each (original: tensorboard_image). */
function blend(image: Uint8Array, cam: Float32Array): Uint8Array {
  return image.map((value, i) => {
    // Of a NaN, as of 0, the darkest colour.
    const strength = Math.min(255, Math.max(0, Math.trunc(256 * cam[Math.trunc(i / 3)]!) || 0));
    return (value + JET_LUT[3 * strength + (i % 3)]!) / 2;
  });
}

/**
 * Pictures of a step's first images. In the classification phase: images and attention; with pixel labels also
 * predictions, labels and maps. Propagated maps come where a step has them: before the switch the original shows the
 * maps as they are under those tags.
 * @param count most images in a grid
 */
export function stepPictures({ images, out, pixels, logits }: Shown, count: number): Picture[] {
  const small = shrink(denormalize(images), count, 'bilinear');
  const [, , height, width] = small.shape as [number, number, number, number];
  const bytes = Uint8Array.from(small.permute(0, 2, 3, 1).mul(255).round().toFloat32());
  const colours = tiles(bytes, 3 * height * width);
  const grid = (tag: string, shown: Uint8Array[]): Picture => ({
    tag,
    ...makeGrid(shown, height, width, COLUMNS),
  });
  const label = (tag: string, labels: Tensor) => {
    const numbers = shrink(labels.unsqueeze(1).to({ dtype: 'float32' }), count, 'nearest').toFloat32();
    return grid(
      tag,
      tiles(Uint8Array.from(numbers), height * width).map((one) => colorize(one)),
    );
  };
  const cam = (tag: string, cams: Tensor) => {
    const strongest = shrink(cams.max(1, true).values, count, 'bilinear').toFloat32();
    return grid(
      tag,
      tiles(strongest, height * width).map((one, i) => blend(colours[i]!, one)),
    );
  };

  const pictures = [grid('train/images', colours)];
  if (logits) pictures.push(label('train/preds', logits.argmax(1)));
  if (pixels) {
    pictures.push(
      label('train/pseudo_gts', pixels.pseudo),
      label('train/pseudo_ref_gts', pixels.affinity),
      label('train/aff_gts', pixels.refined),
      cam('cam/valid_cams', pixels.validCam),
    );
    if (pixels.propagated)
      pictures.push(
        cam('cam/aff_cams', pixels.propagated.affCam),
        cam('cam/refined_aff_cams', pixels.propagated.refinedAffCam),
      );
  }
  return [...pictures, ...attentionPictures(out, count, height / width)];
}
