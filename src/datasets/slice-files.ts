/** Folders of slices: which files there are, and what their names say. No file is opened here. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { sortNames, splitByIndex } from './splits.js';

export const EXTENSION = '.npy';

/** All .npy names of a folder, in Python's order. @param remedy what to do when there is none */
export function listSlices(rootDir: string, remedy: string): string[] {
  let entries: string[];
  try {
    entries = readdirSync(rootDir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason =
      { ENOENT: 'does not exist', ENOTDIR: 'is a file' }[code ?? ''] ?? `cannot be read (${code})`;
    throw new UsageError(
      `Expected slices {name}_{label}.npy in dataset.root_dir ${rootDir} but this folder ${reason}. ${remedy}`,
      { cause: error },
    );
  }
  const names = entries.filter((name) => name.endsWith(EXTENSION));
  if (names.length === 0) {
    throw new UsageError(
      `Expected slices {name}_{label}.npy in dataset.root_dir ${rootDir} but received no .npy file ` +
        `(${entries.length} other entries). ${remedy}`,
    );
  }
  return sortNames(names);
}

export const OWN_DATA = 'Set dataset.root_dir to the folder that holds your slices.';

/** File names (with .npy) of one split of a folder; `splitByIndex` says which part each split is. */
export function loadSliceList(
  rootDir: string,
  split: string,
  sliceSplit: readonly [number, number],
  remedy = OWN_DATA,
): string[] {
  return splitByIndex(listSlices(rootDir, remedy), split, sliceSplit, rootDir);
}

/**
 * Image-level labels from file names `{name}_{label}.npy`: 0 means that no class is present, k > 0 that class
 * k is.
 *
 * @param rootDir the files' folder, for messages
 * @returns multi-hot label [numClasses - 1] by name without extension; equal labels share one array
 * @throws UsageError that names the first file without a label within 0 .. numClasses - 1
 */
export function loadClsLabelsFromFilenames(
  nameList: readonly string[],
  numClasses = 2,
  rootDir = '',
): Map<string, Uint8Array> {
  const vectors = Array.from({ length: numClasses }, (_, label) =>
    Uint8Array.from({ length: numClasses - 1 }, (_, i) => (i + 1 === label ? 1 : 0)),
  );
  const labels = new Map<string, Uint8Array>();
  for (const name of nameList) {
    const digits = /_(\d+)(?:\.[^_]*)?\.npy$/.exec(name)?.[1];
    const vector = digits === undefined ? undefined : vectors[Number(digits)];
    if (!vector) {
      throw new UsageError(
        `Expected a name {name}_{label}.npy with a label from 0 to ${numClasses - 1} for ${join(rootDir, name)} but ` +
          `received ${digits === undefined ? 'no label' : `label ${digits}`}. Rename the file` +
          `${digits === undefined ? '' : ' or raise dataset.num_classes'}.`,
      );
    }
    labels.set(name.slice(0, -EXTENSION.length), vector);
  }
  return labels;
}

/** Names of the masks. @throws UsageError when one has no slice: it would silently go unused */
export function listMasks(masksDir: string, slices: readonly string[], rootDir: string): Set<string> {
  if (!existsSync(masksDir)) return new Set();
  const masks = readdirSync(masksDir).filter((name) => name.endsWith(EXTENSION));
  if (masks.length > 0) {
    const known = new Set(slices);
    const orphans = sortNames(masks.filter((name) => !known.has(name)));
    if (orphans.length > 0) {
      throw new UsageError(
        `Expected a slice ${join(rootDir, orphans[0]!)} for mask ${join(masksDir, orphans[0]!)} but received none ` +
          `(${orphans.length} of ${masks.length} masks have no slice). Add the slices or remove these masks.`,
      );
    }
  }
  return new Set(masks);
}
