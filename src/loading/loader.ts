import type { Config } from '../config/schema.js';
import { loadedModules } from '../datasets/plug-in.js';
import type { BuilderSettings, Position } from './batch.js';
import {
  type EvalLoader,
  type LoaderOptions,
  PrefetchingLoader,
  type TrainLoader,
} from './prefetching-loader.js';
import { SequentialSampler, trainSampler } from './sampler.js';

export type { Batch, Position } from './batch.js';
export type { DatasetInfo, EvalLoader, LoaderOptions, TrainLoader } from './prefetching-loader.js';

export interface TrainLoaderOptions extends LoaderOptions {
  /** Where to go on: `position()` of an earlier loader. */
  startPosition?: Position | undefined;
  /** This process and how many there are: see `ShuffleSampler`. */
  rank?: number;
  worldSize?: number;
}

export interface EvalLoaderOptions extends LoaderOptions {
  /** Most images in one batch. Default `val.batch_size`. */
  batchSize?: number;
  /** This process and how many there are: see `SequentialSampler`. */
  rank?: number;
  worldSize?: number;
}

/** Epochs without end of shuffled, augmented batches of `train.samples_per_gpu` of the split `train.split`. */
export function createTrainLoader(config: Config, options: TrainLoaderOptions = {}): TrainLoader {
  const { startPosition, rank, worldSize } = options;
  const settings = builderSettings(config, 'train', config.train.split, options);
  const loader = new PrefetchingLoader(settings, config.train.num_workers, options, ({ labels }) => {
    return trainSampler(config, labels, { start: startPosition, rank, worldSize });
  });
  // Its sampler never ends, so `next()` never gives undefined.
  return loader as TrainLoader;
}

/** Every image of a split once, in order, whole and normalised, with masks; batches hold one image size each. */
export function createEvalLoader(config: Config, split: string, options: EvalLoaderOptions = {}): EvalLoader {
  const settings = builderSettings(config, 'eval', split, options);
  const batchSize = options.batchSize ?? config.val.batch_size;
  return new PrefetchingLoader(settings, config.train.num_workers, options, ({ names }) => {
    return new SequentialSampler(names.length, batchSize, options);
  });
}

function builderSettings(
  { dataset, train }: Config,
  mode: 'train' | 'eval',
  split: string,
  { datasetModules = loadedModules() }: LoaderOptions,
): BuilderSettings {
  // Evaluation reads each image once: nothing would be found again in a cache.
  const cacheBytes = mode === 'train' ? dataset.cache_bytes : 0;
  return { mode, dataset, split, seed: train.seed, cacheBytes, datasetModules };
}
