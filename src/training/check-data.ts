import type { Config } from '../config/schema.js';
import type { Warn } from '../datasets/dataset.js';
import { getDataset } from '../datasets/registry.js';
import { ShuffleSampler } from '../loading/sampler.js';

/**
 * Opens the splits that training and validation read, by their names alone: a fault of the second one would
 * otherwise show at the first validation, hours later.
 * @throws UsageError for what names show: folder, split, labels, masks without slices, too few slices for a batch
 */
export function checkData({ dataset, train, val }: Config): void {
  // Whoever reads the slices warns.
  const silent: Warn = () => {};
  const [training] = [train.split, val.split].map((split) =>
    getDataset(dataset.name).open(dataset, split, silent),
  );
  const { samples_per_gpu: batchSize, seed } = train;
  new ShuffleSampler({ length: training!.names.length, batchSize, seed });
}
