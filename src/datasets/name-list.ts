/** Lists of names and their image-level labels, as the original's VOC and COCO folders hold them. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getEnvironmentData, type Serializable, setEnvironmentData } from 'node:worker_threads';
import { UsageError } from '../config/errors.js';
import { fileAccessError } from '../io/file-error.js';
import { type NpyDictValue, readNpyDict } from '../io/npy-dict.js';
import { asDataFault } from './data-fault.js';

/** The original's name of the label file (`load_cls_label_list`). */
export const LABEL_FILE = 'cls_labels_onehot.npy';

/**
 * Names of `{folder}/{split}.txt`: the first word of each line (VOC's lists of a class have a second one).
 * @throws UsageError when there is no such list, or it is empty
 */
export function readSplitList(folder: string, split: string, remedy: string): string[] {
  const path = join(folder, `${split}.txt`);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const fault = fileAccessError(error, 'read', path) as Error;
    throw new UsageError(`${fault.message} It lists the images of split '${split}'. ${remedy}`, {
      cause: error,
    });
  }
  const words = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const names = words.map((line) => line.trim().split(/\s+/)[0]!).filter((name) => name !== '');
  if (names.length === 0)
    throw new UsageError(`Expected names, one a line, for ${path} but received none. ${remedy}`);
  return names;
}

/** Labels as plain data that threads share: names joined by NUL, each label's end among the bytes. */
interface PackedLabels {
  /** Which file, as it then was. */
  key: string;
  names: string;
  ends: Uint32Array;
  bytes: Uint8Array;
}

// Threads that start later inherit it: unpickling 120,000 labels takes seconds, which loader workers are spared.
const SHARED = 'medical-afa:labels';

function share(key: string, labels: ReadonlyMap<string, Uint8Array>): void {
  const ends = new Uint32Array(labels.size);
  let end = 0;
  for (const [i, label] of [...labels.values()].entries()) ends[i] = end += label.length;
  const bytes = new Uint8Array(new SharedArrayBuffer(end));
  for (const [i, label] of [...labels.values()].entries()) bytes.set(label, ends[i]! - label.length);
  const packed: PackedLabels = { key, names: [...labels.keys()].join('\0'), ends, bytes };
  setEnvironmentData(SHARED, packed as unknown as Serializable);
}

function shared(key: string): ReadonlyMap<string, Uint8Array> | undefined {
  const packed = getEnvironmentData(SHARED) as unknown as PackedLabels | undefined;
  if (packed?.key !== key) return undefined;
  const { names, ends, bytes } = packed;
  return new Map(names.split('\0').map((name, i) => [name, bytes.subarray(ends[i - 1] ?? 0, ends[i])]));
}

/** The last label file: a run opens several splits that share one. */
let cached: { key: string; labels: ReadonlyMap<string, Uint8Array> } | undefined;

/** Stands for a value that is neither 0 nor 1. */
const NO_LABEL = 255;

/** Each value as bytes; label files hold 120,000 of them, as floats of an object each. */
function labelsOf(dict: ReadonlyMap<string, NpyDictValue>, path: string): ReadonlyMap<string, Uint8Array> {
  const labels = new Map<string, Uint8Array>();
  for (const [name, value] of dict) {
    if (typeof value !== 'object')
      throw new UsageError(
        `Expected an array of 0 and 1 for ${name} in ${path} but received ${typeof value}.`,
      );
    const { data } = value;
    const label = new Uint8Array(data.length);
    for (let i = 0; i < label.length; i++) {
      const entry = Number(data[i]);
      label[i] = entry === 0 || entry === 1 ? entry : NO_LABEL;
    }
    labels.set(name, label);
  }
  return labels;
}

function readAndShare(key: string, path: string): ReadonlyMap<string, Uint8Array> {
  const labels = labelsOf(readNpyDict(path), path);
  share(key, labels);
  return labels;
}

/**
 * Image-level labels of a folder by name: 0 or 1 for each class but background, 255 for any other value.
 * Their lengths are as stored; the file is read once.
 * @throws UsageError for a file that is missing or of another form
 */
export function readLabelFile(folder: string, remedy: string): ReadonlyMap<string, Uint8Array> {
  const path = join(folder, LABEL_FILE);
  try {
    const { mtimeMs, size, ino } = statSync(path);
    const key = [path, mtimeMs, size, ino].join('\n');
    if (cached?.key !== key) cached = { key, labels: shared(key) ?? readAndShare(key, path) };
    return cached.labels;
  } catch (error) {
    const fault = asDataFault(fileAccessError(error, 'read', path));
    throw fault instanceof UsageError
      ? new UsageError(`${fault.message} ${remedy}`, { cause: error })
      : fault;
  }
}
