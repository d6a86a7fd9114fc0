import { expected, UsageError } from '../config/errors.js';

const SPLITS: readonly string[] = ['train', 'val', 'test'];

/** Order by code point, as Python's `sorted()`: JavaScript's own compares UTF-16 units. */
function compareCodePoints(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above every other unit's.
    const xAstral = (x & 0xf800) === 0xd800;
    const yAstral = (y & 0xf800) === 0xd800;
    return xAstral === yAstral ? x - y : xAstral ? 1 : -1;
  }
  return a.length - b.length;
}

const SURROGATE = /[\ud800-\udfff]/;

/** Sorts names in place as Python's `sorted()` does, so that an index split cuts where the original's does. */
export function sortNames(names: string[]): string[] {
  // The engine's own order is many times faster and differs only where surrogates occur.
  return names.some((name) => SURROGATE.test(name)) ? names.sort(compareCodePoints) : names.sort();
}

/**
 * The part of a sorted list that a split names, with `sliceSplit` = [val_start, train_start]:
 * `train` is [train_start, end), `val` is [val_start, train_start), `test` is [0, train_start).
 * As in the original `test` therefore contains `val`; and nothing keeps a patient on one side of a cut.
 *
 * @param source what was listed, for messages
 * @throws UsageError for an unknown split, a split beyond the list, or an empty part
 */
export function splitByIndex<T>(
  list: readonly T[],
  split: string,
  sliceSplit: readonly [number, number],
  source: string,
): T[] {
  if (!SPLITS.includes(split)) {
    throw new UsageError(`${expected("'train', 'val' or 'test'", 'the split', split)}.`);
  }
  const [valStart, trainStart] = sliceSplit;
  if (
    !(Number.isInteger(valStart) && Number.isInteger(trainStart) && 0 <= valStart && valStart <= trainStart)
  ) {
    throw new UsageError(
      `${expected('two indices [val_start, train_start], 0 <= val_start <= train_start,', 'dataset.slice_split', sliceSplit)}.`,
    );
  }
  if (trainStart > list.length) {
    throw new UsageError(
      `Expected dataset.slice_split within the ${list.length} slices of ${source} but received ` +
        `[${valStart}, ${trainStart}]. ${advice(list.length)}`,
    );
  }
  const [from, to] = {
    train: [trainStart, list.length],
    val: [valStart, trainStart],
    test: [0, trainStart],
  }[split as 'train' | 'val' | 'test'];
  if (from === to) {
    throw new UsageError(
      `Expected at least one slice in split '${split}' but received none: dataset.slice_split ` +
        `[${valStart}, ${trainStart}] of the ${list.length} slices of ${source} leaves indices ${from} to ${to}. ` +
        advice(list.length),
    );
  }
  return list.slice(from, to);
}

/** A fifth for validation is the usual share. */
const advice = (count: number): string =>
  `Set dataset.slice_split to [val_start, train_start]; [0, ${Math.max(1, Math.floor(count / 5))}], for example, ` +
  `validates on the first fifth and trains on the rest.`;
