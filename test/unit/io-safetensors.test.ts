import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, readSafetensorsHeader, writeSafetensors } from '../../src/io/safetensors.js';
import { DTYPES, type RawTensor } from '../../src/tensor/dtypes.js';
import { tensors } from './io-arbitraries.js';

let path: string;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'io-safetensors-'));
  path = join(folder, 'a.safetensors');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file put together by hand, from the format's description. */
function file(header: unknown, data: number[] = []): void {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, Buffer.from(data)]));
}

const named = fc.dictionary(fc.string({ maxLength: 20 }), tensors, { maxKeys: 8 });

describe('round trip', () => {
  it('gives names, dtypes, shapes, bytes and metadata back', () => {
    fc.assert(
      fc.property(named, fc.dictionary(fc.string(), fc.string()), (record, metadata) => {
        const map = new Map(Object.entries(record));
        writeSafetensors(path, map, metadata);
        expect(new Map([...readSafetensors(path)].sort())).toEqual(new Map([...map].sort()));
        expect(readSafetensorsHeader(path).metadata).toEqual(metadata);
      }),
      { numRuns: 50 },
    );
  });

  it('aligns every tensor to its element size', () => {
    fc.assert(
      fc.property(named, (record) => {
        writeSafetensors(path, new Map(Object.entries(record)));
        const { entries, dataOffset } = readSafetensorsHeader(path);
        for (const { dtype, begin } of entries) expect((dataOffset + begin) % DTYPES[dtype].bytes).toBe(0);
      }),
      { numRuns: 30 },
    );
  });
});

describe('reading', () => {
  it('reads a file written by hand', () => {
    file(
      { __metadata__: { format: 'pt' }, w: { dtype: 'I16', shape: [2], data_offsets: [0, 4] } },
      [1, 0, 255, 255],
    );
    expect(readSafetensors(path)).toEqual(
      new Map<string, RawTensor>([
        ['w', { dtype: 'int16', shape: [2], data: Uint8Array.of(1, 0, 255, 255) }],
      ]),
    );
    expect(readSafetensorsHeader(path).metadata).toEqual({ format: 'pt' });
  });

  it.each([
    [
      'no header length',
      () => writeFileSync(path, 'abc'),
      /Expected a safetensors file for .* received a file of 3 bytes/,
    ],
    [
      'a length beyond the file',
      () => writeFileSync(path, Buffer.alloc(16, 0x50)),
      /a header length of \d+ in a file of 16 bytes/,
    ],
    ['no JSON', () => file('{"a":'), /a header that is not JSON/],
    ['no object', () => file('[1]'), /a header that is no JSON object/],
    [
      'an unknown dtype',
      () => file({ w: { dtype: 'F8_E4M3', shape: [1], data_offsets: [0, 1] } }, [0]),
      /Expected one of F32.* as dtype of tensor "w" .* received F8_E4M3/,
    ],
    [
      'a negative size',
      () => file({ w: { dtype: 'U8', shape: [-1], data_offsets: [0, 1] } }, [0]),
      /shape \[-1\] for tensor "w"/,
    ],
    [
      'offsets that do not fit the shape',
      () => file({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 4] } }, [0, 0, 0, 0]),
      /data_offsets \[0,4\] for tensor "w", F32 of shape \[2\]/,
    ],
    ['no offsets', () => file({ w: { dtype: 'F32', shape: [2] } }), /data_offsets undefined/],
    ['a null entry', () => file({ w: null }), /received undefined/],
    [
      'overlapping tensors',
      () =>
        file(
          {
            a: { dtype: 'U8', shape: [2], data_offsets: [0, 2] },
            b: { dtype: 'U8', shape: [2], data_offsets: [1, 3] },
          },
          [0, 0, 0],
        ),
      /tensor "b" at offset 1 where 2 is due/,
    ],
    [
      'a gap',
      () => file({ a: { dtype: 'U8', shape: [1], data_offsets: [1, 2] } }, [0, 0]),
      /tensor "a" at offset 1 where 0 is due/,
    ],
    [
      'missing data',
      () => file({ a: { dtype: 'U8', shape: [4], data_offsets: [0, 4] } }, [0, 0]),
      /2 bytes of data where the header tells of 4/,
    ],
    [
      'data left over',
      () => file({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } }, [0, 0]),
      /2 bytes of data where the header tells of 1/,
    ],
  ])('refuses %s', (_, write, message) => {
    write();
    expect(() => readSafetensors(path)).toThrow(message);
  });
});

describe('writing', () => {
  it('refuses bytes that do not fit the shape, and the reserved name', () => {
    const tensor: RawTensor = { dtype: 'float32', shape: [2], data: new Uint8Array(4) };
    expect(() => writeSafetensors(path, new Map([['w', tensor]]))).toThrow(
      'Expected 8 bytes for w (float32, shape [2]) but received 4.',
    );
    expect(() => writeSafetensors(path, new Map([['__metadata__', tensor]]))).toThrow(/reserved/);
  });
});
