import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeNpy } from '../../src/io/npy.js';
import { type NpyDictValue, PyFloat, readNpyDict, writeNpyDict } from '../../src/io/npy-dict.js';
import { formatNpyHeader, NPY_DTYPES, type NpyDType } from '../../src/io/npy-header.js';

let path: string;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'io-npy-dict-'));
  path = join(folder, 'a.npy');
});
afterAll(() => rmSync(folder, { recursive: true }));

const arrays = fc
  .tuple(
    fc.constantFrom(...(Object.keys(NPY_DTYPES) as NpyDType[])),
    fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
  )
  .map(([dtype, shape]) => {
    const data = new NPY_DTYPES[dtype].array(shape.reduce((n, d) => n * d, 1));
    for (let i = 0; i < data.length; i++)
      data[i] = (
        data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(i % 2) : i % 2
      ) as never;
    return { dtype, shape, data };
  });
const values: fc.Arbitrary<NpyDictValue> = fc.oneof(
  arrays,
  fc.integer(),
  fc.double({ noNaN: true, max: 1e9, min: -1e9 }),
  fc.boolean(),
  fc.string({ unit: 'grapheme' }),
);

/** An object .npy with a pickle written by hand. */
const pickled = (text: string) =>
  writeFileSync(path, Buffer.concat([formatNpyHeader('|O', []), Buffer.from(text, 'latin1')]));

describe('round trip', () => {
  it('gives arrays, numbers, booleans and text back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), values), (dict) => {
        writeNpyDict(path, dict);
        expect(readNpyDict(path)).toEqual(new Map(Object.entries(dict)));
      }),
      { numRuns: 50 },
    );
  });

  it('takes a Map, and floats that are whole', () => {
    writeNpyDict(path, new Map([['pred_score', new PyFloat(1)]]));
    expect(readNpyDict(path)).toEqual(new Map([['pred_score', 1]]));
  });
});

describe('writing', () => {
  it('names the entry that cannot be written and leaves no file', () => {
    const target = join(folder, 'none.npy');
    const data = new Float32Array(3);
    expect(() => writeNpyDict(target, { cam: { dtype: 'float32', shape: [2, 2], data } })).toThrow(
      /Cannot write entry cam: Expected 4 elements for shape \[2,2\] but received 3/,
    );
    expect(() => writeNpyDict(target, { when: new Date() as never })).toThrow(/entry when .* class Date/);
    expect(() => readNpyDict(target)).toThrow(/no such file exists/);
  });
});

describe('reading', () => {
  it('refuses a pickle that would run a command', () => {
    pickled('\x80\x04cposix\nsystem\n(X\x04\x00\x00\x00exittR.');
    expect(() => readNpyDict(path)).toThrow(
      /Expected a \.npy file of one dict of arrays, numbers and strings for .*a\.npy but received a reference to posix\.system, which is refused and was not run/,
    );
  });

  it("refuses numpy's and Python's own names that are not on the list", () => {
    for (const name of ['numpy\nload', 'builtins\neval', 'builtins\ngetattr', '__proto__\nconstructor']) {
      pickled(`\x80\x04c${name}\n.`);
      expect(() => readNpyDict(path)).toThrow(`a reference to ${name.replace('\n', '.')}, which is refused`);
    }
  });

  it('refuses a plain array, with the remedy', () => {
    writeNpy(path, { dtype: 'float32', shape: [1], data: new Float32Array(1) });
    expect(() => readNpyDict(path)).toThrow(
      /a plain array \(dtype <f4\)\. Save it in Python with numpy\.save/,
    );
  });

  it.each([
    ['another object than a dict', '\x80\x04]N\x61.', /an object that is no dict/],
    ['a damaged pickle', '\x80\x04}(X', /a damaged one/],
    ['None as a value', '\x80\x04}X\x01\x00\x00\x00aNs.', /for key "a" None/],
    ['a list as a value', '\x80\x04}X\x01\x00\x00\x00a]s.', /for key "a" a value of type object/],
    ['a tuple as a key', '\x80\x04})Ns.', /a key that is no string/],
    // -2^40: the pickle library would give 2^48 - 2^40.
    [
      'an integer that would be read wrongly',
      '\x80\x04}X\x01\x00\x00\x00a\x8a\x06\x00\x00\x00\x00\x00\xffs.',
      /for key "a" \d+, too large to be read exactly/,
    ],
  ])('refuses %s', (_, text, message) => {
    pickled(text);
    expect(() => readNpyDict(path)).toThrow(message);
  });

  it('reads whole-numbered keys as text', () => {
    pickled('\x80\x04}K\x07K\x08s.');
    expect(readNpyDict(path)).toEqual(new Map([['7', 8]]));
  });
});
