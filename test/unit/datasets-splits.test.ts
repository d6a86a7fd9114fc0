import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { sortNames, splitByIndex } from '../../src/datasets/splits.js';
import { findPython } from '../oracles/python.js';

const list = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];

describe('splitByIndex', () => {
  // load_slice_list of the original: [split[1]:], [split[0]:split[1]], [:split[1]].
  it.each([
    ['train', ['f', 'g', 'h', 'i', 'j']],
    ['val', ['c', 'd', 'e']],
    ['test', ['a', 'b', 'c', 'd', 'e']],
  ])('cuts %s as the original does', (split, wanted) => {
    expect(splitByIndex(list, split, [2, 5], 'F')).toEqual(wanted);
  });

  const advice =
    'Set dataset.slice_split to [val_start, train_start]; [0, 2], for example, ' +
    'validates on the first fifth and trains on the rest.';

  it.each<[string, string, [number, number], string]>([
    [
      'a split beyond the list, with counts',
      'val',
      [4400, 4884],
      `Expected dataset.slice_split within the 10 slices of F but received [4400, 4884]. ${advice}`,
    ],
    [
      'a train split without slices',
      'train',
      [2, 10],
      "Expected at least one slice in split 'train' but received none: dataset.slice_split [2, 10] of the 10 " +
        `slices of F leaves indices 10 to 10. ${advice}`,
    ],
    [
      'a validation split without slices',
      'val',
      [0, 0],
      "Expected at least one slice in split 'val' but received none: dataset.slice_split [0, 0] of the 10 " +
        `slices of F leaves indices 0 to 0. ${advice}`,
    ],
    [
      'an unknown split',
      'training',
      [0, 2],
      "Expected 'train', 'val' or 'test' for the split but received string 'training'.",
    ],
    [
      'indices in the wrong order',
      'val',
      [5, 2],
      'Expected two indices [val_start, train_start], 0 <= val_start <= train_start, for dataset.slice_split ' +
        'but received an array of 2 ([5, 2]).',
    ],
  ])('refuses %s', (_, split, sliceSplit, message) => {
    expect(() => splitByIndex(list, split, sliceSplit, 'F')).toThrow(new UsageError(message));
  });
});

describe('sortNames', () => {
  const codePoints = (text: string) => [...text].map((character) => character.codePointAt(0)!);

  /** Python's definition of string order, written out. */
  function comparePython(a: string, b: string): number {
    const [x, y] = [codePoints(a), codePoints(b)];
    for (let i = 0; i < Math.min(x.length, y.length); i++) {
      if (x[i] !== y[i]) return x[i]! - y[i]!;
    }
    return x.length - y.length;
  }

  it('orders by code point whatever the characters', () => {
    const names = fc.array(fc.string({ unit: 'grapheme', maxLength: 6 }), { maxLength: 30 });
    fc.assert(
      fc.property(names, (unsorted) => {
        expect(sortNames([...unsorted])).toEqual([...unsorted].sort(comparePython));
      }),
    );
  });

  const tricky = ['b_10', 'b_9', 'B_9', 'é', 'z', '\u{1f600}', '\uffee', 'a\u{1f600}', 'a\uffee', 'a'];
  const python = findPython([]);

  it.skipIf(!python)("agrees with Python's sorted()", () => {
    const code = 'import json, sys; print(json.dumps(sorted(json.loads(sys.argv[1]))))';
    const sorted = JSON.parse(
      execFileSync(python!, ['-c', code, JSON.stringify(tricky)], { encoding: 'utf8' }),
    );
    expect(sortNames([...tricky])).toEqual(sorted);
  });
});
