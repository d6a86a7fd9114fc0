import type { PixelImage } from '../datasets/sample.js';
import { writeNormalized } from './normalize.js';
import { hashSeed, Random } from './random.js';
import type { Window } from './rescale.js';
import { type AugmentOptions, augment, drawAugmentation, type Placed } from './transforms.js';

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

/** What the crop that `key` draws shows of an image. */
export function augmentItem(
  image: PixelImage,
  options: AugmentOptions,
  { seed, epoch, index }: AugmentKey,
): Placed {
  const random = new Random(hashSeed(seed, 'augment', epoch, index));
  const augmentation = drawAugmentation(random, image.height, image.width, options);
  return augment(image, augmentation, options.cropSize);
}

/** The same as the network sees it, for one image by itself. */
export function trainItem(
  image: PixelImage,
  options: AugmentOptions,
  key: AugmentKey,
): Pick<TrainItem, 'image' | 'box'> {
  const side = options.cropSize;
  const placed = augmentItem(image, options, key);
  const out = new Float32Array(3 * side * side);
  writeNormalized(placed, side, side, out);
  return { image: out, box: placed.box };
}
