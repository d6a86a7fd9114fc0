/** Builds masks, name lists and image-level labels from COCO's images and instance annotations. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { removeAbandoned } from '../io/atomic.js';
import { fileAccessError } from '../io/file-error.js';
import { makeFolder } from '../io/make-folder.js';
import type { CocoCategory, CocoIndex } from './coco-index.js';
import { type CocoSplit, linkImages, maskFolder } from './coco-layout.js';
import { writeMasks } from './coco-masks.js';
import { type CocoSource, type ReportProgress, readSource } from './coco-source.js';
import { type FaultPolicy, Faults } from './faults.js';
import { claimListFolder, readLabelSets, SIDECAR, writeNameLists } from './name-lists.js';

export interface CocoDatasetOptions {
  sources: readonly CocoSource[];
  outDir: string;
  faults: FaultPolicy;
  overwrite: boolean;
  /** Asked between masks. */
  stopWhen?: () => boolean;
  onProgress?: ReportProgress;
}

export interface SplitReport {
  annotations: string;
  images: number;
  /** Listed images: those with a sound annotation. */
  listed: number;
  masks_written: number;
  masks_kept: number;
  left_out: Record<string, number>;
}

export interface CocoDatasetSummary {
  categories: CocoCategory[];
  splits: Partial<Record<CocoSplit, SplitReport>>;
  skipped: string[];
  /** Stopped before the end: masks are there, lists are not. */
  stopped: boolean;
}

/**
 * Writes `SegmentationClass/{split}/{name}.png`, links `JPEGImages/{split}` to the images, and writes `{split}.txt`,
 * `cls_labels_onehot.npy` and `dataset.json`, all under `outDir`. Images without annotations are in no list, as in the
 * original (82,081 of 82,783 in train2014). Everything is checked before the first mask. Masks that are there
 * are kept unless `overwrite` is given, so that a run that was stopped goes on; labels of another split that
 * was prepared before are kept too.
 *
 * @throws UsageError or FileFormatError for files that are not COCO's, and for faults under the policy `stop`
 */
export async function prepareCocoDataset(options: CocoDatasetOptions): Promise<CocoDatasetSummary> {
  const { sources, outDir } = options;
  claimListFolder(
    outDir,
    sources.map(({ split }) => `${split}.txt`),
    options.overwrite,
  );
  const read: { source: CocoSource; index: CocoIndex; faults: Faults }[] = [];
  for (const source of sources) {
    const faults = new Faults();
    const index = await readSource(source, faults, options.onProgress);
    read.push({ source, index, faults });
  }
  const { categories } = read[0]!.index;
  for (const { index } of read.slice(1)) checkSameCategories(categories, read[0]!.index.path, index);
  const earlier = readEarlier(outDir, sources, categories);
  for (const { source, faults } of read) faults.settle(options.faults, source.annotations);

  const summary: CocoDatasetSummary = {
    categories,
    splits: { ...earlier.splits },
    skipped: read.flatMap(({ faults }) => faults.lines()),
    stopped: false,
  };
  const lists = new Map<string, string[]>();
  for (const { source, index, faults } of read) {
    const { split } = source;
    const images = index.images.filter(({ present }) => present.size > 0);
    if (images.length === 0) {
      throw new UsageError(
        `Expected annotated images for split ${split} but received none that can be used.`,
      );
    }
    linkImages(source.images, outDir, split);
    const folder = openFolder(maskFolder(outDir, split));
    const classOf = new Map(categories.map(({ id }, k) => [id, k + 1]));
    const { written, kept, stopped } = await writeMasks(index.path, images, classOf, folder, {
      overwrite: options.overwrite,
      stopWhen: options.stopWhen,
      onMask: (done) => options.onProgress?.(`Writing ${split} masks`, done, images.length),
    });
    if (stopped) return { ...summary, stopped };
    lists.set(
      split,
      images.map(({ name }) => name),
    );
    for (const { name, present } of images) earlier.labels.set(name, present);
    summary.splits[split] = {
      annotations: source.annotations,
      images: index.images.length,
      listed: images.length,
      masks_written: written,
      masks_kept: kept,
      left_out: faults.counts(),
    };
  }
  const sidecar = {
    source: 'coco',
    splits: summary.splits,
    categories: categories.map(({ id, name }, k) => ({ class: k + 1, category_id: id, name })),
  };
  writeNameLists(outDir, { lists, labels: earlier.labels, classes: categories.length }, sidecar);
  return summary;
}

function checkSameCategories(categories: readonly CocoCategory[], path: string, other: CocoIndex): void {
  const text = (list: readonly CocoCategory[]): string => list.map(({ id, name }) => `${id} ${name}`).join();
  if (text(categories) === text(other.categories)) return;
  throw new UsageError(
    `Expected the categories of ${path} (${categories.length}) for ${other.path} but received others ` +
      `(${other.categories.length}). Class numbers would not agree between the splits.`,
  );
}

interface Earlier {
  labels: Map<string, ReadonlySet<number>>;
  splits: CocoDatasetSummary['splits'];
}

/** What an earlier run wrote about splits that this one does not make. */
function readEarlier(
  outDir: string,
  sources: readonly CocoSource[],
  categories: readonly CocoCategory[],
): Earlier {
  const path = join(outDir, SIDECAR);
  if (!existsSync(path)) return { labels: new Map(), splits: {} };
  const made = new Set<string>(sources.map(({ split }) => split));
  const sidecar = parseSidecar(path);
  const splits = Object.fromEntries(
    Object.entries(sidecar.splits ?? {}).filter(([split]) => !made.has(split)),
  ) as Earlier['splits'];
  if (Object.keys(splits).length === 0) return { labels: new Map(), splits: {} };
  const names = (list: readonly CocoCategory[]): string => list.map(({ name }) => name).join();
  if (names(sidecar.categories ?? []) !== names(categories)) {
    throw new UsageError(
      `Expected the categories of the ${Object.keys(splits).join(', ')} split in ${outDir} but received others. ` +
        'Choose another --out, or prepare both splits together.',
    );
  }
  return { labels: readLabelSets(outDir, Object.keys(splits)), splits };
}

function parseSidecar(path: string): Partial<Pick<CocoDatasetSummary, 'splits' | 'categories'>> {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(
      `Expected what an earlier run wrote in ${path} but received damaged JSON (${(error as Error).message}). ` +
        'Remove it, and prepare all splits together with --overwrite.',
      { cause: error },
    );
  }
}

function openFolder(folder: string): string {
  try {
    makeFolder(folder);
    removeAbandoned(folder);
    return folder;
  } catch (error) {
    throw fileAccessError(error, 'write', folder);
  }
}
