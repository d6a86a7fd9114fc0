import { requireSize } from '../cam/image-size.js';
import { UsageError } from '../config/errors.js';
import type { Config } from '../config/schema.js';
import type { Dataset, Warn } from '../datasets/dataset.js';
import { getDataset } from '../datasets/registry.js';
import type { PixelImage } from '../datasets/sample.js';
import { describeSplits, requireSeparate, type SplitReport } from '../datasets/split-report.js';
import { trainSampler } from '../loading/sampler.js';

/** Both sides of a training, opened: folders are listed once and handed on, since there may be 100,000 files in them. */
export interface CheckedData {
  train: Dataset;
  val: Dataset;
  report: SplitReport;
}

/**
 * Opens the splits that training and validation read, by their names alone: a fault of the second one would
 * otherwise show at the first validation, hours later.
 * @throws UsageError for what names show: folder, split, labels, masks without slices, too few slices for a batch,
 *   masks that only some images lack, a patient on both sides where `dataset.strict_split` forbids it
 */
export function checkData(config: Config): CheckedData {
  const { dataset, train, val } = config;
  // Whoever reads the slices warns.
  const silent: Warn = () => {};
  const open = (split: string) => getDataset(dataset.name).open(dataset, split, silent);
  const data = { train: open(train.split), val: open(val.split) };
  if (val.cam && dataset.bad_data === 'stop') requireMasks(data.val, val.split);
  const report = describeSplits(data.train, data.val);
  if (dataset.strict_split) requireSeparate(report);
  trainSampler(
    config,
    data.train.names.map((_, index) => data.train.label(index)),
  );
  return { ...data, report };
}

/**
 * Reads one image of validation, whose size the others mostly share: one that the network cannot take at every scale
 * would otherwise show at the first validation, hours later.
 * @throws UsageError for an image that is too small, or, unless damaged ones are left out, damaged
 */
export async function checkFirstImage(
  { backbone, cam, dataset }: Config,
  { val }: CheckedData,
): Promise<void> {
  let image: PixelImage;
  try {
    image = await val.readImage(0);
  } catch (error) {
    if (dataset.bad_data === 'skip') return;
    throw error;
  }
  requireSize(val.names[0]!, [image.height, image.width], cam.scales, backbone.stride);
}

/** Without its mask an image would silently count in some scores and not in others. */
function requireMasks({ missingMasks = [], names }: Dataset, split: string): void {
  if (missingMasks.length === 0) return;
  const shown = missingMasks.slice(0, 5).map(({ message }) => `\n  ${message}`);
  throw new UsageError(
    `Expected a mask for each image of split '${split}' but ${missingMasks.length} of ${names.length} lack theirs:` +
      `${shown.join('')}${missingMasks.length > shown.length ? '\n  ...' : ''}\n` +
      'Add them, score the others alone with --set dataset.bad_data=skip, or none with --set val.cam=false.',
  );
}
