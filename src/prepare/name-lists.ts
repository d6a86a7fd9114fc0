/** Folders of name lists and image-level labels: `{split}.txt`, one name a line, and `cls_labels_onehot.npy`. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { LABEL_FILE } from '../datasets/name-list.js';
import { writeFileAtomic } from '../io/atomic.js';
import { fileAccessError } from '../io/file-error.js';
import { makeFolder } from '../io/make-folder.js';
import type { NpyArray } from '../io/npy.js';
import { readNpyDict, writeNpyDict } from '../io/npy-dict.js';

export const SIDECAR = 'dataset.json';

export interface NameLists {
  /** Names by split, in the order in which they are written. */
  lists: ReadonlyMap<string, readonly string[]>;
  /** Class indices from 0 (background has none), by name. */
  labels: ReadonlyMap<string, ReadonlySet<number>>;
  /** Classes without background: the length of a label. */
  classes: number;
}

/** Names of a list file; blank lines and what follows a name do not count. */
export function readNameList(path: string): string[] {
  try {
    return parseNameList(readFileSync(path, 'utf8'));
  } catch (error) {
    throw fileAccessError(error, 'read', path);
  }
}

export function parseNameList(text: string): string[] {
  return text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map((line) => line.trim().split(/\s+/)[0]!)
    .filter((name) => name !== '');
}

/** @throws UsageError when one of these files is there and `overwrite` is false */
export function claimListFolder(folder: string, files: readonly string[], overwrite: boolean): void {
  const present = files.map((file) => join(folder, file)).find((path) => existsSync(path));
  if (present !== undefined && !overwrite) {
    throw new UsageError(
      `Expected a folder without lists for the output but received ${folder}, which holds ${present}. ` +
        'Add --overwrite to replace them, or choose another --out.',
    );
  }
}

/** Writes labels first: a list never names an image whose label is not there. */
export function writeNameLists(folder: string, { lists, labels, classes }: NameLists, sidecar: object): void {
  try {
    makeFolder(folder);
  } catch (error) {
    throw fileAccessError(error, 'write', folder);
  }
  writeNpyDict(join(folder, LABEL_FILE), oneHotDict(labels, classes));
  for (const [split, names] of lists) writeFileAtomic(join(folder, `${split}.txt`), lines(names));
  writeFileAtomic(join(folder, SIDECAR), `${JSON.stringify(sidecar, null, 2)}\n`);
}

const lines = (names: readonly string[]): string => names.map((name) => `${name}\n`).join('');

/** float32 [classes] of 0 and 1 for each name: the form of the original's label files. */
function oneHotDict(labels: NameLists['labels'], classes: number): Parameters<typeof writeNpyDict>[1] {
  return new Map(
    [...labels].map(([name, present]) => {
      const data = new Float32Array(classes);
      for (const index of present) data[index] = 1;
      return [name, { dtype: 'float32' as const, shape: [classes], data }];
    }),
  );
}

/** Labels that a folder holds for the names of some of its lists. */
export function readLabelSets(folder: string, splits: readonly string[]): Map<string, ReadonlySet<number>> {
  const labels = readNpyDict(join(folder, LABEL_FILE));
  const sets = new Map<string, ReadonlySet<number>>();
  for (const split of splits) {
    for (const name of readNameList(join(folder, `${split}.txt`))) {
      const label = labels.get(name) as NpyArray | undefined;
      if (label === undefined) {
        throw new UsageError(
          `Expected a label for ${name} of ${split}.txt in ${join(folder, LABEL_FILE)} but received none. ` +
            'Prepare all splits together with --overwrite.',
        );
      }
      const present = new Set<number>();
      for (const [index, value] of Array.from(label.data as Float32Array).entries())
        if (value > 0) present.add(index);
      sets.set(name, present);
    }
  }
  return sets;
}
