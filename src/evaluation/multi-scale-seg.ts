import type { WeTr } from '../models/wetr.js';
import { Tensor } from '../tensor/index.js';

export interface SegOptions {
  /** Input scales; scale 1 always runs, and first. */
  scales: readonly number[];
  /** Mean with the mirrored image's logits, at each scale. */
  flip: boolean;
  /** The longer side is resized to this first, in pixels; 0 leaves images as they are. */
  longSide: number;
}

export interface SegLogits {
  /** [B, 1 + C, h, w]: scale 1, not mirrored. */
  single: Tensor;
  /** The same form: the largest over scales of the means with the mirror image; `single` itself for one plain pass. */
  multi: Tensor;
}

/** Size of an image whose longer side is resized to `longSide`; fractions of a pixel are cut off, as in the original. */
export function inputSize(
  [height, width]: readonly [number, number],
  longSide: number,
): readonly [number, number] {
  if (longSide === 0) return [height, width];
  const ratio = longSide / Math.max(height, width);
  return [Math.max(1, Math.trunc(height * ratio)), Math.max(1, Math.trunc(width * ratio))];
}

/**
 * Segmentation logits over scales and mirror images (original: scripts/test_msc_flip.py). Other scales' logits are
 * brought to the size of scale 1's before the largest is taken, logit by logit.
 * @param images [B, 3, H, W], normalised
 */
export function multiScaleSeg(
  model: WeTr,
  images: Tensor,
  { scales, flip, longSide }: SegOptions,
): SegLogits {
  const [batch, , ...size] = images.shape as [number, number, number, number];
  const input = inputSize(size, longSide);
  const resized = input[0] === size[0] && input[1] === size[1] ? images : images.interpolate(input);
  const logits = (at: Tensor) => {
    const both = model.forward(flip ? Tensor.cat([at, at.flip(-1)]) : at, { seg: true }).seg!;
    const plain = both.narrow(0, 0, batch);
    return { plain, mirrored: flip ? both.narrow(0, batch, batch) : undefined };
  };
  const mean = ({ plain, mirrored }: ReturnType<typeof logits>) =>
    mirrored ? plain.add(mirrored.flip(-1)).div(2) : plain;

  const first = logits(resized);
  const out = { single: first.plain, multi: mean(first) };
  const [, , h, w] = first.plain.shape as [number, number, number, number];
  for (const scale of scales) {
    if (scale === 1) continue;
    const scaled = resized.interpolate([Math.trunc(input[0] * scale), Math.trunc(input[1] * scale)]);
    const { plain, mirrored } = logits(scaled);
    const atFirst = (t: Tensor | undefined) => t?.interpolate([h, w]);
    out.multi = out.multi.maximum(mean({ plain: atFirst(plain)!, mirrored: atFirst(mirrored) }));
  }
  return out;
}
