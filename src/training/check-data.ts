import type { Config } from '../config/schema.js';
import type { Warn } from '../datasets/dataset.js';
import { getDataset } from '../datasets/registry.js';
import { describeSplits, requireSeparate, type SplitReport } from '../datasets/split-report.js';
import { ShuffleSampler } from '../loading/sampler.js';

/**
 * Opens the splits that training and validation read, by their names alone: a fault of the second one would
 * otherwise show at the first validation, hours later.
 * @throws UsageError for what names show: folder, split, labels, masks without slices, too few slices for a batch,
 *   a patient on both sides where `dataset.strict_split` forbids it
 * @returns what there is on either side
 */
export function checkData({ dataset, train, val }: Config): SplitReport {
  // Whoever reads the slices warns.
  const silent: Warn = () => {};
  const open = (split: string) => getDataset(dataset.name).open(dataset, split, silent);
  const training = open(train.split);
  const report = describeSplits(training, open(val.split));
  if (dataset.strict_split) requireSeparate(report);
  const { samples_per_gpu: batchSize, seed } = train;
  new ShuffleSampler({ length: training.names.length, batchSize, seed });
  return report;
}
