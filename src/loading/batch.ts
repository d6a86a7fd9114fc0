import type { DataFault, DatasetConfig } from '../datasets/dataset.js';
import type { Mask, PixelImage } from '../datasets/sample.js';

/** Samples of equal size, ready for the network. */
export interface Batch {
  names: string[];
  /** [B, 3, height, width], ImageNet-normalised. */
  images: Float32Array;
  height: number;
  width: number;
  /** Multi-hot, [B, numClasses - 1]. */
  labels: Float32Array;
  /** [B, 4]: y0, y1, x0, x1 of the image in its crop, half-open; the rest is padding. */
  boxes: Int32Array;
  /** One entry for each sample; evaluation only, and only where the dataset has masks. */
  masks?: (Mask | undefined)[];
}

/** What a task gave. */
export interface Built {
  batches: Batch[];
  /** Samples, or masks, that were left out of them under `dataset.bad_data: skip`. */
  faults: DataFault[];
  /** By sample index, where `BatchTask.keep` asks for them: images that were decoded, in memory of all threads. */
  decoded: [index: number, image: PixelImage][];
}

/** A place in the stream of samples: after `cursor` samples of epoch `epoch`. Plain data, for checkpoints. */
export interface Position {
  epoch: number;
  cursor: number;
}

/** What to read next. */
export interface BatchTask {
  epoch: number;
  /** Samples of the split, in the order in which they are wanted. */
  indices: number[];
  /** Images that are decoded already, each at the place of its index. */
  known?: (PixelImage | undefined)[];
  /** Give the others back, too. */
  keep?: boolean;
}

/** All that a worker needs to build the same batches as any other: plain data, sent to it as it starts. */
export interface BuilderSettings {
  /** `train` augments; `eval` gives whole images and their masks. */
  mode: 'train' | 'eval';
  dataset: DatasetConfig;
  split: string;
  seed: number;
  /** Modules (file URLs) to load before the dataset is looked up: they define their own. */
  datasetModules: readonly string[];
}
