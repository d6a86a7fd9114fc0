import type { Config } from '../config/schema.js';
import type { Warn } from '../datasets/dataset.js';
import { getDataset } from '../datasets/registry.js';
import { describeSplits, requireSeparate, type SplitReport } from '../datasets/split-report.js';
import { trainSampler } from '../loading/sampler.js';

/**
 * Opens the splits that training and validation read, by their names alone: a fault of the second one would
 * otherwise show at the first validation, hours later.
 * @throws UsageError for what names show: folder, split, labels, masks without slices, too few slices for a batch,
 *   a patient on both sides where `dataset.strict_split` forbids it
 * @returns what there is on either side
 */
export function checkData(config: Config): SplitReport {
  const { dataset, train, val } = config;
  // Whoever reads the slices warns.
  const silent: Warn = () => {};
  const open = (split: string) => getDataset(dataset.name).open(dataset, split, silent);
  const training = open(train.split);
  const report = describeSplits(training, open(val.split));
  if (dataset.strict_split) requireSeparate(report);
  trainSampler(
    config,
    training.names.map((_, index) => training.label(index)),
  );
  return report;
}
