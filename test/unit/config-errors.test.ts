import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeValue, expected, UsageError } from '../../src/config/errors.js';
import { closest, editDistance } from '../../src/config/suggest.js';

describe('describeValue', () => {
  it.each([
    [3, 'number 3'],
    [Number.NaN, 'number NaN'],
    [3n, 'bigint 3'],
    [true, 'boolean true'],
    ['abc', "string 'abc'"],
    ['', "string ''"],
    [null, 'nothing'],
    [undefined, 'nothing'],
    [[], 'an array of 0'],
    [[5, 3], 'an array of 2 ([5, 3])'],
    [['a', 1], "an array of 2 (['a', 1])"],
    [[{}, []], 'an array of 2'],
    [new Array(100).fill(1), 'an array of 100'],
    [new Float32Array(4), 'Float32Array of 4'],
    [new DataView(new ArrayBuffer(5)), 'DataView of 5 bytes'],
    [{}, 'an empty object'],
    [{ a: 1, b: 2 }, 'an object with a, b'],
    [new Map(), 'a Map'],
    [new Error('gone'), 'an error (gone)'],
    [() => 1, 'a function'],
  ])('%o is "%s"', (value, text) => {
    expect(describeValue(value)).toBe(text);
  });

  // `config: [{toString: null}]` is sound YAML; making a text of it throws a TypeError.
  it('describes what no text can be made of', () => {
    expect(describeValue([{ toString: null }])).toBe('an array of 1');
    expect(describeValue({ toString: null })).toBe('an object with toString');
    const anything = fc.anything({
      withBigInt: true,
      withNullPrototype: true,
      withMap: true,
      withSparseArray: true,
    });
    fc.assert(fc.property(anything, (value) => describeValue(value).length > 0));
  });

  it('shortens what would not fit on a line', () => {
    expect(describeValue('x'.repeat(1000))).toBe(`string '${'x'.repeat(57)}...'`);
  });
});

describe('UsageError', () => {
  it('carries exit code 2, its name and its cause', () => {
    const cause = new Error('below');
    const error = new UsageError(expected('a file', '--config', 3), { cause });
    expect(error).toMatchObject({
      name: 'UsageError',
      exitCode: 2,
      cause,
      message: 'Expected a file for --config but received number 3',
    });
  });
});

describe('closest', () => {
  it.each([
    ['max_iter', 'max_iters'],
    ['crop-size', 'crop_size'],
    ['CROP_SIZE', 'crop_size'],
    ['cropsize', 'crop_size'],
    ['corp_size', 'crop_size'],
    ['banana', undefined],
    ['', undefined],
  ])('%s: %s', (name, result) => {
    expect(closest(name, ['max_iters', 'cam_iters', 'crop_size'])).toBe(result);
  });

  // Optimal string alignment, by hand.
  it.each([
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['ab', 'ba', 1],
    ['lasc', 'lacs', 1],
  ])('%s to %s takes %i edits', (a, b, edits) => {
    expect(editDistance(a, b)).toBe(edits);
    expect(editDistance(b, a)).toBe(edits);
  });
});
