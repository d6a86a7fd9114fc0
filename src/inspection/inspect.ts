import type { Config } from '../config/schema.js';
import { className } from '../datasets/class-names.js';
import { getDataset } from '../datasets/registry.js';
import { describeSplits, type SplitReport } from '../datasets/split-report.js';
import { duplicatesIn, numbersOf, type SplitNumbers } from './facts.js';
import { type Outlook, outlookOf, warningsFor } from './outlook.js';
import { type SplitScan, scanSplit } from './scan.js';

export interface Inspection {
  dataset: string;
  rootDir: string;
  /** Names of the classes without background; numbers where the dataset does not tell them. */
  classes: string[];
  splits: SplitNumbers[];
  /** Checksums of the lists and patients on both sides, as training logs them. */
  lists: SplitReport;
  /** Images of equal pixels, by group. */
  duplicates: { within: string[][]; across: string[][] };
  outlook: Outlook;
  warnings: string[];
}

/** Pixels that percentiles are taken from, of all images together. */
const SAMPLED_PIXELS = 4_000_000;
const LEAST_PER_IMAGE = 16;

/** The splits that a configuration uses; of a split by patient, the test part too. */
function splitsOf({ train, val, dataset }: Config): string[] {
  const withTest = dataset.split.by === 'patient' && dataset.split.test > 0;
  return [...new Set([train.split, val.split, ...(withTest ? ['test'] : [])])];
}

/**
 * Reads the whole dataset and says what is in it, before hours of training depend on it.
 * @param onProgress told of images done and in all; may wait, to let signals through
 * @throws UsageError for what names alone show; faults of single files are part of the result
 */
export async function inspect(
  config: Config,
  onProgress: (done: number, total: number) => Promise<void> | void = () => {},
): Promise<Inspection> {
  const { dataset, train, val } = config;
  const definition = getDataset(dataset.name);
  // As they are stored: what `dataset.intensity` makes of them is the configuration's doing.
  const stored = { ...dataset, intensity: 'raw' as const };
  const open = (split: string) => definition.open(stored, split, () => {});
  const opened = splitsOf(config).map((split) => ({ split, dataset: open(split) }));
  const total = opened.reduce((sum, { dataset }) => sum + dataset.names.length, 0);
  const perImage = Math.max(LEAST_PER_IMAGE, Math.floor(SAMPLED_PIXELS / total));

  let done = 0;
  const scans: SplitScan[] = [];
  for (const { split, dataset } of opened)
    scans.push(await scanSplit(dataset, split, perImage, () => onProgress(++done, total)));

  const splits = scans.map(numbersOf);
  const duplicates = duplicatesIn(scans);
  const datasetOf = (name: string) => opened.find(({ split }) => split === name)!.dataset;
  const lists = describeSplits(datasetOf(train.split), datasetOf(val.split));
  return {
    dataset: dataset.name,
    rootDir: dataset.root_dir,
    classes: splits[0]!.perClass.map((_, c) => className(opened[0]!.dataset.classNames, c)),
    splits,
    lists,
    duplicates,
    outlook: outlookOf(config, splits.find(({ split }) => split === train.split)!),
    warnings: warningsFor(config, splits, duplicates, lists),
  };
}
