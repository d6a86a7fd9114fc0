import type { PixelImage } from '../datasets/sample.js';
import { hashSeed, Random } from './random.js';
import type { Window } from './rescale.js';
import { type AugmentOptions, applyAugmentation, drawAugmentation } from './transforms.js';

/** What an augmentation is drawn from: nothing else, so order and number of workers do not matter. */
export interface AugmentKey {
  seed: number;
  epoch: number;
  /** The sample's index in its split. */
  index: number;
}

export interface TrainItem {
  name: string;
  /** Normalised crop, [3, cropSize, cropSize]. */
  image: Float32Array;
  /** Multi-hot, [numClasses - 1]. */
  label: Uint8Array;
  /** The part of the crop that is image. */
  box: Window;
}

/** Writes the augmented crop that `key` draws to `out[offset ..]`, [3, cropSize, cropSize]; gives the image box. */
export function writeTrainItem(
  image: PixelImage,
  options: AugmentOptions,
  { seed, epoch, index }: AugmentKey,
  out: Float32Array,
  offset: number,
): Window {
  const random = new Random(hashSeed(seed, 'augment', epoch, index));
  const augmentation = drawAugmentation(random, image.height, image.width, options);
  return applyAugmentation(image, augmentation, options.cropSize, out, offset);
}

/** `writeTrainItem` into an array of its own. */
export function trainItem(
  image: PixelImage,
  options: AugmentOptions,
  key: AugmentKey,
): Pick<TrainItem, 'image' | 'box'> {
  const out = new Float32Array(3 * options.cropSize ** 2);
  return { box: writeTrainItem(image, options, key, out, 0), image: out };
}
