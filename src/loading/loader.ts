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
  /** Names of samples that are not wanted: they are not read. Asked once for each of this process's share. */
  skip?: (name: string) => boolean;
}

/** Epochs without end of shuffled, augmented batches of `train.samples_per_gpu` of the split `train.split`. */
export function createTrainLoader(config: Config, options: TrainLoaderOptions = {}): TrainLoader {
  const { startPosition, rank, worldSize } = options;
  const settings = builderSettings(config, 'train', config.train.split, options);
  const resources = { numWorkers: config.train.num_workers, cacheBytes: config.dataset.cache_bytes };
  const loader = new PrefetchingLoader(settings, resources, options, ({ labels }) => {
    return trainSampler(config, labels, { start: startPosition, rank, worldSize });
  });
  // Its sampler never ends, so `next()` never gives undefined.
  return loader as TrainLoader;
}

/** Every image of a split once, in order, whole and normalised, with masks; batches hold one image size each. */
export function createEvalLoader(config: Config, split: string, options: EvalLoaderOptions = {}): EvalLoader {
  const settings = builderSettings(config, 'eval', split, options);
  const { batchSize = config.val.batch_size, rank, worldSize, skip } = options;
  // Each image is read once: nothing would be found again in a cache.
  const resources = { numWorkers: config.train.num_workers, cacheBytes: 0 };
  return new PrefetchingLoader(settings, resources, options, ({ names }) => {
    const byIndex = skip && ((index: number) => skip(names[index]!));
    return new SequentialSampler(names.length, batchSize, { rank, worldSize, skip: byIndex });
  });
}

function builderSettings(
  { dataset, train }: Config,
  mode: 'train' | 'eval',
  split: string,
  { datasetModules = loadedModules() }: LoaderOptions,
): BuilderSettings {
  return { mode, dataset, split, seed: train.seed, datasetModules };
}
