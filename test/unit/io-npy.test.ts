import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { halfToFloat } from '../../src/io/half.js';
import { encodeNpy, type NpyArray, parseNpy, readNpy, readNpyHeader, writeNpy } from '../../src/io/npy.js';
import { NPY_DTYPES, type NpyDType } from '../../src/io/npy-header.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'io-npy-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A .npy file put together by hand, from numpy's description of the format. */
function file(dict: string, data: number[] | Uint8Array, version = 1): Buffer {
  const lengthBytes = version === 1 ? 2 : 4;
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntLE(dict.length + 1, 0, lengthBytes);
  return Buffer.concat([
    Buffer.from('\x93NUMPY', 'latin1'),
    Buffer.from([version, 0]),
    length,
    Buffer.from(`${dict}\n`, 'latin1'),
    Buffer.from(data),
  ]);
}

const header = (descr: string, shape: string, fortran = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;

const arrays = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(NPY_DTYPES) as NpyDType[])),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
    seed: fc.uint8Array({ minLength: 8, maxLength: 64 }),
  })
  .map(({ dtype, shape, seed }): NpyArray => {
    const { array, descr } = NPY_DTYPES[dtype];
    const count = shape.reduce((n, d) => n * d, 1);
    const bytes = Uint8Array.from(
      { length: count * Number(descr.slice(1)) },
      (_, i) => seed[i % seed.length]!,
    );
    if (dtype === 'bool') for (const [i, byte] of bytes.entries()) bytes[i] = byte & 1;
    return { dtype, shape, data: new array(bytes.buffer) };
  });

describe('round trip', () => {
  it('gives every dtype and shape back, bit by bit', () => {
    fc.assert(
      fc.property(arrays, (array) => {
        const read = parseNpy(Buffer.concat(encodeNpy(array)), 'memory');
        expect(read.dtype).toBe(array.dtype);
        expect(read.shape).toEqual(array.shape);
        // As bytes: NaN payloads count too.
        expect(Buffer.from(read.data.buffer)).toEqual(Buffer.from(array.data.buffer));
      }),
    );
  });

  it('never takes a shortened file for a whole one', () => {
    fc.assert(
      fc.property(arrays, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (array, share) => {
        const whole = Buffer.concat(encodeNpy(array));
        const part = whole.subarray(0, Math.floor(share * whole.length));
        expect(() => parseNpy(part, 'part.npy')).toThrow(/for part\.npy but received/);
      }),
    );
  });

  it('aligns the elements to 64 bytes, as numpy does', () => {
    fc.assert(
      fc.property(arrays, (array) => {
        expect(encodeNpy(array)[0]!.length % 64).toBe(0);
      }),
    );
  });

  it('writes version 2 when the header has 64 KiB or more', () => {
    const shape = new Array(30_000).fill(1);
    const bytes = Buffer.concat(encodeNpy({ dtype: 'uint8', shape, data: Uint8Array.of(9) }));
    expect(bytes[6]).toBe(2);
    expect(parseNpy(bytes, 'long').shape).toEqual(shape);
  });
});

describe('file forms', () => {
  it.each([
    ['>i2', [0x01, 0x02, 0xff, 0xfe], [258, -2]],
    ['<i2', [0x02, 0x01, 0xfe, 0xff], [258, -2]],
    ['=i2', [0x02, 0x01, 0xfe, 0xff], [258, -2]],
    ['>u4', [0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff], [256, 4294967295]],
    ['>f4', [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0], [1, -2]],
    ['>f8', [0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0], [1, -2]],
    ['>f2', [0x3c, 0x00, 0xc0, 0x00], [1, -2]],
    ['|b1', [1, 0], [1, 0]],
    ['|i1', [0x7f, 0x80], [127, -128]],
  ])('reads %s', (descr, data, expected) => {
    expect([...parseNpy(file(header(descr, '(2,)'), data), 'x').data]).toEqual(expected);
  });

  it('reads 64-bit integers exactly, as bigint', () => {
    const data = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    expect(parseNpy(file(header('<i8', '(1,)'), data), 'x').data[0]).toBe(2n ** 63n - 1n);
    expect(parseNpy(file(header('>u8', '(1,)'), data), 'x').data[0]).toBe(0xffffffffffffff7fn);
  });

  it('turns Fortran order into C order', () => {
    // numpy: np.asfortranarray(np.arange(24).reshape(2, 3, 4)).tobytes('F') has element (i,j,k) at i + 2j + 6k.
    const data = new Uint8Array(24);
    for (let i = 0; i < 2; i++)
      for (let j = 0; j < 3; j++) for (let k = 0; k < 4; k++) data[i + 2 * j + 6 * k] = 12 * i + 4 * j + k;
    const array = parseNpy(file(header('|u1', '(2, 3, 4)', 'True'), data), 'x');
    expect([...array.data]).toEqual(Array.from({ length: 24 }, (_, i) => i));
  });

  it.each([1, 2, 3])('reads version %i', (version) => {
    expect([...parseNpy(file(header('|u1', '(3,)'), [1, 2, 3], version), 'x').data]).toEqual([1, 2, 3]);
  });

  it('reads keys in any order, double quotes and the long integers of Python 2', () => {
    const dict = `{"shape": (2L, 1L), "fortran_order": False, "descr": "|u1", }`;
    expect(parseNpy(file(dict, [5, 6]), 'x')).toEqual({
      dtype: 'uint8',
      shape: [2, 1],
      data: Uint8Array.of(5, 6),
    });
  });

  it('ignores bytes after the array, as numpy.load does', () => {
    expect([...parseNpy(file(header('|u1', '(2,)'), [1, 2, 3, 4]), 'x').data]).toEqual([1, 2]);
  });

  it('reads scalars and empty arrays', () => {
    expect(parseNpy(file(header('|u1', '()'), [7]), 'x')).toMatchObject({
      shape: [],
      data: Uint8Array.of(7),
    });
    expect(parseNpy(file(header('<f4', '(0, 3)'), []), 'x')).toMatchObject({ shape: [0, 3] });
  });

  it('gives an array that does not share memory with the file', () => {
    const bytes = file(header('|u1', '(2,)'), [1, 2]);
    const { data } = parseNpy(bytes, 'x');
    bytes.fill(0);
    expect([...data]).toEqual([1, 2]);
  });
});

describe('faults', () => {
  it.each([
    ['an empty file', Buffer.alloc(0), /Expected a \.npy file for x\.npy but received an empty file/],
    ['a short file', Buffer.from('\x93NUMPY', 'latin1'), /received a file of 6 bytes/],
    ['another magic', Buffer.from('PK\x03\x04............'), /begins with "PK/],
    ['an unknown version', file(header('|u1', '(1,)'), [1], 4), /\.npy version 4\.0/],
    ['a cut header', file(header('|u1', '(1,)'), []).subarray(0, 40), /only 40 of \d+ header bytes/],
    [
      'a header without shape',
      file("{'descr': '|u1', 'fortran_order': False, }", [1]),
      /with descr, fortran_order and shape/,
    ],
    ['a negative size', file(header('|u1', '(-1,)'), [1]), /with descr, fortran_order and shape/],
    [
      'too few data',
      file(header('<f4', '(2, 2)'), [1, 2, 3]),
      /16 bytes of array data \(shape \[2,2\], <f4\) for x\.npy but received only 3/,
    ],
    ['a size beyond all memory', file(header('<f8', '(99999999999, 99999999999)'), [1]), /truncated/],
    [
      'objects',
      file(header('|O', '()'), [0x80]),
      /an object array.*could run code when loaded\)\. In Python, save the plain array/,
    ],
    [
      'complex numbers',
      file(header('<c8', '(1,)'), new Uint8Array(8)),
      /received dtype <c8\. Convert it in Python/,
    ],
    ['text', file(header('<U3', '(1,)'), new Uint8Array(12)), /received dtype <U3/],
    [
      'records',
      file("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,), }", new Uint8Array(4)),
      /dtype \[\('x', '<f4'\)\]/,
    ],
    ['extended floats', file(header('<f16', '(1,)'), new Uint8Array(16)), /received dtype <f16/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseNpy(bytes, 'x.npy')).toThrow(message);
  });

  it('names a missing file', () => {
    expect(() => readNpy(join(folder, 'none.npy'))).toThrow(/Cannot read .*none\.npy: no such file exists/);
    expect(() => readNpy(folder)).toThrow(/it is a folder, not a file/);
  });

  it('refuses to write data that do not fit', () => {
    const path = join(folder, 'bad.npy');
    expect(() => writeNpy(path, { dtype: 'float32', shape: [2], data: new Float64Array(2) })).toThrow(
      'Expected Float32Array for float32 data but received Float64Array.',
    );
    expect(() => writeNpy(path, { dtype: 'uint8', shape: [2, 2], data: new Uint8Array(3) })).toThrow(
      'Expected 4 elements for shape [2,2] but received 3.',
    );
  });
});

describe('readNpyHeader', () => {
  it('tells dtype and shape without reading the data', () => {
    const path = join(folder, 'header.npy');
    writeNpy(path, { dtype: 'int16', shape: [3, 5], data: new Int16Array(15) });
    expect(readNpyHeader(path)).toEqual({
      dtype: 'int16',
      descr: '<i2',
      shape: [3, 5],
      fortranOrder: false,
      dataOffset: 128,
    });
  });

  it('tells that data are missing', () => {
    const path = join(folder, 'cut.npy');
    writeNpy(path, { dtype: 'int16', shape: [3, 5], data: new Int16Array(15) });
    truncateSync(path, 150);
    expect(() => readNpyHeader(path)).toThrow(/Expected 158 bytes .* but received only 150 bytes/);
  });

  it('refuses what parseNpy refuses', () => {
    const path = join(folder, 'empty.npy');
    writeFileSync(path, '');
    expect(() => readNpyHeader(path)).toThrow(/an empty file/);
    writeFileSync(path, file(header('|O', '()'), [0x80]));
    expect(() => readNpyHeader(path)).toThrow(/an object array/);
    expect(readFileSync(path).length).toBeGreaterThan(0);
  });
});

describe('halfToFloat', () => {
  it.each([
    // IEEE 754-2008 binary16: largest, smallest normal, largest and smallest subnormal, one third.
    [0x7bff, 65504],
    [0x0400, 2 ** -14],
    [0x03ff, 2 ** -14 * (1023 / 1024)],
    [0x8001, -(2 ** -24)],
    [0x3555, 0.333251953125],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x8000, -0],
  ])('decodes %i', (bits, value) => {
    expect(halfToFloat(bits)).toBe(value);
  });

  it('decodes NaN', () => {
    expect(halfToFloat(0x7e00)).toBeNaN();
  });
});
