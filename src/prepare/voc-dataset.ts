/**
 * Builds name lists and image-level labels from a plain VOCdevkit (VOC 2012, or another set of that layout and those
 * classes). Images and masks stay where they are: training reads them from the devkit.
 */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { LABEL_FILE } from '../datasets/name-list.js';
import { sortNames } from '../datasets/splits.js';
import { VOC_CLASSES } from '../datasets/voc-classes.js';
import { type FaultPolicy, Faults } from './faults.js';
import { forEachTogether } from './image-sizes.js';
import { claimListFolder, readNameList, SIDECAR, writeNameLists } from './name-lists.js';
import { checkPixels, classesOfAnnotation, classesOfMask } from './voc-image.js';

export interface VocDatasetOptions {
  /** The devkit's folder of one year, with JPEGImages, Annotations and ImageSets. */
  root: string;
  outDir: string;
  /** Folder of masks; by default SegmentationClassAug where it is there, else SegmentationClass. */
  masksDir?: string;
  /** Whether labels come from the objects of the annotations (the default) or from the masks' own classes. */
  labelsFrom?: LabelSource;
  faults: FaultPolicy;
  overwrite: boolean;
  /** Called after each image. */
  onImage?: (done: number, total: number) => void;
}

export const LABEL_SOURCES = ['annotations', 'masks'] as const;
export type LabelSource = (typeof LABEL_SOURCES)[number];

export interface VocDatasetSummary {
  /** Number of names by split. */
  splits: Record<string, number>;
  masksDir: string;
  /** Whether `train_aug` was made. */
  augmented: boolean;
  /** What was left out; one line for each kind. */
  skipped: string[];
  /** Images of the training list by class. */
  images: Record<string, number>;
}

const AUGMENTED = 'SegmentationClassAug';
const PLAIN = 'SegmentationClass';
const SPLITS = ['train', 'val', 'trainval', 'test'] as const;

/**
 * Writes `{split}.txt`, `cls_labels_onehot.npy` and `dataset.json`. `train_aug` is every image with an augmented mask that
 * is not in `val`: 10,582 names for VOC 2012 with SBD's masks, the original's list.
 *
 * @throws UsageError when the devkit is not one, or has faults under the policy `stop`
 */
export async function prepareVocDataset(options: VocDatasetOptions): Promise<VocDatasetSummary> {
  const { root, outDir, labelsFrom = 'annotations' } = options;
  checkDevkit(root);
  const masksDir = options.masksDir ?? defaultMasks(root);
  const faults = new Faults();
  const lists = readLists(root);
  const augmented = options.masksDir !== undefined || masksDir.endsWith(AUGMENTED);
  if (augmented) lists.set('train_aug', augmentedNames(masksDir, lists));
  const files = [LABEL_FILE, SIDECAR, ...[...lists.keys()].map((split) => `${split}.txt`)];
  claimListFolder(outDir, files, options.overwrite);
  reportDuplicates(lists, faults);

  // The original's file names train_aug first, then val; images of the test set have no annotations to read.
  const ordered = ['train_aug', 'train', 'trainval', 'val'].flatMap((split) => lists.get(split) ?? []);
  const labelled = [...new Set(ordered)];
  const labels = new Map<string, ReadonlySet<number>>(labelled.map((name) => [name, new Set()]));
  const unusable = new Set<string>();
  let done = 0;
  await forEachTogether(labelled, async (name) => {
    const mask = join(masksDir, `${name}.png`);
    const sized = await checkPixels(imagePath(root, name), mask, faults);
    const present =
      labelsFrom === 'masks'
        ? classesOfMask(mask, faults)
        : classesOfAnnotation(join(root, 'Annotations', `${name}.xml`), faults);
    labels.set(name, present);
    if (present.size === 0 || !sized) unusable.add(name);
    options.onImage?.(++done, labelled.length);
  });
  for (const name of lists.get('test') ?? []) {
    if (existsSync(imagePath(root, name))) continue;
    faults.add('missing images', imagePath(root, name));
    unusable.add(name);
  }
  faults.settle(options.faults, root);

  // Left out of training rather than of validation, so that the scores stay comparable.
  const val = new Set(lists.get('val'));
  for (const [split, names] of lists) {
    const isTrain = split === 'train';
    const kept = [...new Set(names)].filter((name) => !unusable.has(name) && !(isTrain && val.has(name)));
    lists.set(split, kept);
  }
  for (const name of unusable) labels.delete(name);
  for (const split of ['train', 'val']) {
    if (lists.get(split)!.length > 0) continue;
    throw new UsageError(`Expected images for split ${split} of ${root} but received none that can be used.`);
  }
  const summary: VocDatasetSummary = {
    splits: Object.fromEntries([...lists].map(([split, names]) => [split, names.length])),
    masksDir,
    augmented,
    skipped: faults.lines(),
    images: countImages(lists.get(augmented ? 'train_aug' : 'train')!, labels),
  };
  const sidecar = {
    source: 'voc',
    root_dir: root,
    masks_dir: masksDir,
    labels_from: labelsFrom,
    splits: summary.splits,
    images_by_class: summary.images,
    left_out: faults.counts(),
  };
  writeNameLists(outDir, { lists, labels, classes: VOC_CLASSES.length }, sidecar);
  return summary;
}

const imagePath = (root: string, name: string): string => join(root, 'JPEGImages', `${name}.jpg`);

function checkDevkit(root: string): void {
  const parts = ['JPEGImages', 'Annotations', join('ImageSets', 'Segmentation')];
  const missing = parts.filter((part) => !existsSync(join(root, part)));
  if (missing.length === 0) return;
  const inner = ['VOC2012', join('VOCdevkit', 'VOC2012')].find((part) => existsSync(join(root, part)));
  const remedy = inner
    ? ` Did you mean ${join(root, inner)}?`
    : ' It is the folder VOCdevkit/VOC2012 of VOCtrainval_11-May-2012.tar.';
  const received = existsSync(root) ? `received no ${missing.join(', no ')}` : 'this folder does not exist';
  throw new UsageError(
    `Expected JPEGImages, Annotations and ImageSets/Segmentation in ${root} but ${received}.${remedy}`,
  );
}

function defaultMasks(root: string): string {
  const augmented = join(root, AUGMENTED);
  return existsSync(augmented) ? augmented : join(root, PLAIN);
}

function readLists(root: string): Map<string, readonly string[]> {
  const lists = new Map<string, readonly string[]>();
  for (const split of SPLITS) {
    const path = join(root, 'ImageSets', 'Segmentation', `${split}.txt`);
    if (!existsSync(path) && (split === 'trainval' || split === 'test')) continue;
    const names = readNameList(path);
    if (names.length === 0)
      throw new UsageError(`Expected names of images in ${path} but received an empty list.`);
    lists.set(split, names);
  }
  return lists;
}

function augmentedNames(masksDir: string, lists: ReadonlyMap<string, readonly string[]>): string[] {
  const entries = existsSync(masksDir) ? readdirSync(masksDir) : [];
  const masks = entries.filter((name) => name.endsWith('.png')).map((name) => name.slice(0, -4));
  if (masks.length === 0) {
    throw new UsageError(
      `Expected masks {name}.png in ${masksDir} but received none. Unpack SegmentationClassAug.zip there, or remove ` +
        'the folder to go without.',
    );
  }
  const others = new Set([...lists.get('val')!, ...(lists.get('test') ?? [])]);
  return sortNames(masks.filter((name) => !others.has(name)));
}

function reportDuplicates(lists: ReadonlyMap<string, readonly string[]>, faults: Faults): void {
  for (const [split, names] of lists) {
    const seen = new Set<string>();
    for (const name of names) {
      if (seen.has(name)) faults.add('names listed twice', `${name} in ${split}.txt`);
      seen.add(name);
    }
  }
  const val = new Set(lists.get('val'));
  for (const name of lists.get('train')!)
    if (val.has(name)) faults.add('images of both train.txt and val.txt', name);
}

function countImages(
  names: readonly string[],
  labels: ReadonlyMap<string, ReadonlySet<number>>,
): Record<string, number> {
  return Object.fromEntries(
    VOC_CLASSES.map((name, index) => [name, names.filter((image) => labels.get(image)!.has(index)).length]),
  );
}
