import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { readMaskFile, readPixels } from '../../src/datasets/pixels.js';
import { type NpyArray, readNpy, writeNpy } from '../../src/io/npy.js';
import { newFolder } from './slice-folders.js';

const FIXTURES = fileURLToPath(new URL('../fixtures/io/npy/', import.meta.url));
const silent = () => {};

function saved(array: NpyArray): string {
  const path = join(newFolder(), 'a_0.npy');
  writeNpy(path, array);
  return path;
}

/** The message of the UsageError that `call` throws. */
function fault(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error('Expected a UsageError but nothing was thrown');
}

describe('readPixels', () => {
  // test/fixtures/io/npy: the same 24 x 30 picture saved by NumPy in every form; values are whole, 3..252.
  const grey = readNpy(`${FIXTURES}slice_u1.npy`).data as Uint8Array;

  it.each(['u1', 'u2', 'i2', 'i2_be', 'i8', 'f2', 'f4', 'f8', 'fortran', 'v2', 'singleton'])(
    'gives the same 8-bit pixels for slice_%s',
    (form) => {
      expect(readPixels(`${FIXTURES}slice_${form}.npy`, silent)).toEqual({
        data: grey,
        height: 24,
        width: 30,
        channels: 1,
      });
    },
  );

  it('keeps three channels', () => {
    const image = readPixels(`${FIXTURES}slice_rgb.npy`, silent);
    expect([image.height, image.width, image.channels, image.data.length]).toEqual([24, 30, 3, 2160]);
  });

  it('reads booleans as 0 and 1, and says that they look black', () => {
    const warnings: string[] = [];
    const path = `${FIXTURES}slice_b1.npy`;
    const image = readPixels(path, (_, message) => warnings.push(message));
    expect(new Set(image.data)).toEqual(new Set([0, 1]));
    expect(warnings).toEqual([
      `${path} holds values from 0 to 1: the network expects 0..255, and this slice looks black to it. ` +
        'They are used as they are; set dataset.intensity: [0, 1].',
    ]);
  });

  it('keeps fractions and values outside 0..255 as they are, and says so', () => {
    const path = saved({ dtype: 'float64', shape: [2, 2], data: Float64Array.of(-3.5, 0, 1000.25, 7) });
    const warnings: string[] = [];
    const image = readPixels(path, (_, message) => warnings.push(message));
    expect(image.data).toEqual(Float32Array.of(-3.5, 0, 1000.25, 7));
    expect(warnings).toEqual([
      `${path} holds values from -3.5 to 1000.25: the network expects 0..255, scaled alike for all slices. ` +
        'They are used as they are; set dataset.intensity to percentile or a window [low, high].',
    ]);
  });

  it('takes (H, W, 1), and an all-black slice without a word', () => {
    const path = saved({ dtype: 'float32', shape: [2, 3, 1], data: new Float32Array(6) });
    const warnings: string[] = [];
    const image = readPixels(path, (_, message) => warnings.push(message));
    expect(image).toEqual({ data: new Uint8Array(6), height: 2, width: 3, channels: 1 });
    expect(warnings).toEqual([]);
  });

  it.each([
    ['(4)', [4]],
    ['(2, 2, 2)', [2, 2, 2]],
    ['(0, 4)', [0, 4]],
    ['(1, 1, 2, 2)', [1, 1, 2, 2]],
  ])('refuses shape %s', (text, shape) => {
    const data = new Float32Array(shape.reduce((n, side) => n * side, 1));
    const path = saved({ dtype: 'float32', shape, data });
    expect(fault(() => readPixels(path, silent))).toBe(
      `Expected an array of shape (H, W), (H, W, 1), (1, H, W) or (H, W, 3) for ${path} but received ${text}. ` +
        'Save one slice per file.',
    );
  });

  it.each([
    ['NaN', Number.NaN],
    ['Infinity', 1e300], // beyond float32
  ])('refuses %s', (text, value) => {
    const path = saved({ dtype: 'float64', shape: [2, 2], data: Float64Array.of(0, 1, value, 3) });
    expect(fault(() => readPixels(path, silent))).toBe(
      `Expected finite values for ${path} but received ${text} at element 2. ` +
        'Replace NaN and infinite values, or remove the slice.',
    );
  });

  it.each(['bad_nan', 'bad_object', 'bad_truncated', 'bad_magic', 'bad_empty'])(
    'refuses %s.npy by a UsageError that names it',
    (name) => {
      const path = `${FIXTURES}${name}.npy`;
      expect(fault(() => readPixels(path, silent))).toContain(path);
    },
  );

  it('names a file that is gone', () => {
    expect(fault(() => readPixels('/nowhere/a_0.npy', silent))).toBe(
      'Cannot read /nowhere/a_0.npy: no such file exists; check the path (ENOENT).',
    );
  });
});

describe('readMaskFile', () => {
  it('takes whole numbers of any dtype and turns the ignored value into 255', () => {
    const path = saved({ dtype: 'float64', shape: [1, 3, 2], data: Float64Array.of(0, 1, 2, 7, 255, 0) });
    expect(readMaskFile(path, 3, 7)).toEqual({
      data: Uint8Array.of(0, 1, 2, 255, 255, 0),
      height: 3,
      width: 2,
    });
  });

  it('takes booleans', () => {
    const path = saved({ dtype: 'bool', shape: [1, 2], data: Uint8Array.of(0, 1) });
    expect(readMaskFile(path, 2, 255).data).toEqual(Uint8Array.of(0, 1));
  });

  it.each([2, -1, 0.5])('refuses the value %d', (value) => {
    const path = saved({ dtype: 'float32', shape: [1, 2], data: Float32Array.of(0, value) });
    expect(fault(() => readMaskFile(path, 2, 255))).toBe(
      `Expected class numbers 0 to 1, or 255 to ignore, for mask ${path} but received ${value}. ` +
        'Renumber the mask or raise dataset.num_classes.',
    );
  });

  it('refuses colours', () => {
    const path = saved({ dtype: 'uint8', shape: [2, 2, 3], data: new Uint8Array(12) });
    expect(fault(() => readMaskFile(path, 2, 255))).toBe(
      `Expected an array of shape (H, W) for mask ${path} but received (2, 2, 3).`,
    );
  });
});
