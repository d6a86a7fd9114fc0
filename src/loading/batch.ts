import type { DataFault, DatasetConfig } from '../datasets/dataset.js';
import type { Mask, PixelImage } from '../datasets/sample.js';

/** Pixels as bytes, as they are in the files: batchImages() normalises and mirrors them where the network runs. */
export interface BytePixels {
  kind: 'bytes';
  /** [B, height, width, channels], not mirrored yet; padding is 0. */
  data: Uint8Array;
  /** 1 where all images of the batch are grey. */
  channels: 1 | 3;
  /** [B]: 1 for images, and their padding, that are shown mirrored left to right, else 0. */
  mirrored: Uint8Array;
}

/** Pixels where some are no bytes (`dataset.intensity: raw`). */
export interface FloatPixels {
  kind: 'floats';
  /** [B, 3, height, width], ImageNet-normalised, mirrored already. */
  data: Float32Array;
}

export type BatchPixels = BytePixels | FloatPixels;

/** Samples of equal size; batchImages() makes the network's input of them. */
export interface Batch {
  names: string[];
  pixels: BatchPixels;
  height: number;
  width: number;
  /** Multi-hot, [B, numClasses - 1]. */
  labels: Float32Array;
  /** [B, 4]: y0, y1, x0, x1 of the image in its crop as it is shown, half-open; the rest is padding. */
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
