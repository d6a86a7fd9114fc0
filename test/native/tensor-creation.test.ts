/** Every dtype in and out of the addon. Bit patterns are those of IEEE 754 and of bfloat16 (its upper half). */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DTYPE_NAMES,
  DTYPES,
  type DType,
  memory,
  setupSeed,
  Tensor,
  type TensorData,
} from '../../src/tensor/index.js';
import { bytesOf, facts, numbers } from './support.js';

let before: number;
const made: Tensor[] = [];
const track = (tensor: Tensor): Tensor => {
  made.push(tensor);
  return tensor;
};
beforeEach(() => {
  before = memory().liveTensors;
});
afterEach(() => {
  for (const tensor of made.splice(0)) tensor.dispose();
  expect(memory().liveTensors, 'operations leave no hidden tensor').toBe(before);
});

/** 0, 1 and 2 (bool: 0, 1, 1) as each dtype's own elements. */
const SAMPLES: Record<DType, TensorData> = {
  float32: Float32Array.of(0, 1, 2),
  float64: Float64Array.of(0, 1, 2),
  float16: Uint16Array.of(0, 0x3c00, 0x4000),
  bfloat16: Uint16Array.of(0, 0x3f80, 0x4000),
  int64: BigInt64Array.of(0n, 1n, 2n),
  int32: Int32Array.of(0, 1, 2),
  int16: Int16Array.of(0, 1, 2),
  int8: Int8Array.of(0, 1, 2),
  uint8: Uint8Array.of(0, 1, 2),
  bool: Uint8Array.of(0, 1, 1),
};
const VALUES = (dtype: DType) => (dtype === 'bool' ? [0, 1, 1] : [0, 1, 2]);

describe.each(DTYPE_NAMES)('%s', (dtype) => {
  const sample = SAMPLES[dtype];

  it('comes back as it went in', () => {
    const tensor = track(Tensor.from(sample, [3, 1], dtype));
    expect(tensor.dtype).toBe(dtype);
    expect(tensor.shape).toEqual([3, 1]);
    expect(tensor.numel).toBe(3);
    expect(tensor.device).toBe('cpu');
    const back = tensor.data();
    expect(back).toBeInstanceOf(DTYPES[dtype].array);
    expect(back).toEqual(sample);
    expect([...tensor.toFloat32()]).toEqual(VALUES(dtype));
  });

  it('comes back as raw bytes', () => {
    const tensor = track(Tensor.from(sample, undefined, dtype));
    const raw = tensor.toRaw();
    expect({ ...raw, data: [...raw.data] }).toEqual({ dtype, shape: [3], data: bytesOf(sample) });
    expect(track(Tensor.fromRaw(raw)).data()).toEqual(sample);
  });

  it.each(DTYPE_NAMES)('converts to %s', (target) => {
    const tensor = track(Tensor.from(sample, undefined, dtype));
    const converted = track(tensor.to({ dtype: target }));
    const expected = dtype === 'bool' || target === 'bool' ? SAMPLES.bool : SAMPLES[target];
    expect(converted.dtype).toBe(target);
    const asTarget = track(Tensor.from(expected, undefined, dtype === 'bool' ? 'bool' : target));
    expect([...converted.toFloat32()]).toEqual([...asTarget.toFloat32()]);
  });

  it('is made by full, zeros and ones', () => {
    expect([...track(Tensor.full([2, 2], 1, dtype)).toFloat32()]).toEqual([1, 1, 1, 1]);
    expect([...track(Tensor.zeros([2], dtype)).toFloat32()]).toEqual([0, 0]);
    const ones = track(Tensor.ones([2], dtype));
    expect(ones.dtype).toBe(dtype);
    expect([...ones.toFloat32()]).toEqual([1, 1]);
  });
});

describe('Tensor.from', () => {
  it('takes plain numbers as float32, a typed array as its own dtype', () => {
    expect(facts(track(Tensor.from([1, 2.5])))).toEqual({ values: [1, 2.5], shape: [2], dtype: 'float32' });
    for (const dtype of ['float32', 'float64', 'int64', 'int32', 'int16', 'int8', 'uint8'] as const)
      expect(track(Tensor.from(SAMPLES[dtype])).dtype).toBe(dtype);
  });

  it('copies: neither side sees later writes of the other', () => {
    const source = Float32Array.of(1, 2);
    const tensor = track(Tensor.from(source));
    source[0] = 9;
    expect(numbers(tensor)).toEqual([1, 2]);
    (tensor.data() as Float32Array)[0] = 7;
    expect(numbers(tensor)).toEqual([1, 2]);
  });

  it('reads a window of a buffer, at any byte offset', () => {
    const bytes = new Uint8Array(17).map((_, i) => i);
    expect(numbers(track(Tensor.from(bytes.subarray(3, 6))))).toEqual([3, 4, 5]);
    const floats = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    expect(numbers(track(Tensor.from(floats)))).toEqual([2, 3]);
    // Raw bytes need not be aligned to their dtype.
    const raw = new Uint8Array(9);
    raw.set(bytesOf(Float64Array.of(-1.5)), 1);
    expect(numbers(track(Tensor.fromRaw({ dtype: 'float64', shape: [1], data: raw.subarray(1) })))).toEqual([
      -1.5,
    ]);
  });

  it('makes scalars and empty tensors', () => {
    expect(track(Tensor.from([7], [])).item()).toBe(7);
    expect(facts(track(Tensor.from([], [0, 3])))).toEqual({ values: [], shape: [0, 3], dtype: 'float32' });
    expect(facts(track(Tensor.zeros([])))).toEqual({ values: [0], shape: [], dtype: 'float32' });
  });

  it('keeps NaN, infinities, signed zero, subnormals and extremes bit for bit', () => {
    const float32 = Float32Array.of(Number.NaN, Infinity, -Infinity, -0, 1e-45, 3.4028234663852886e38);
    expect(bytesOf(track(Tensor.from(float32)).data())).toEqual(bytesOf(float32));
    const float64 = Float64Array.of(Number.MIN_VALUE, Number.MAX_VALUE, -0, Number.EPSILON);
    expect(bytesOf(track(Tensor.from(float64)).data())).toEqual(bytesOf(float64));
    const int64 = BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 9007199254740993n);
    expect(track(Tensor.from(int64)).data()).toEqual(int64);
  });

  it('round-trips arbitrary values and shapes', () => {
    const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
    fc.assert(
      fc.property(shapes, fc.infiniteStream(fc.float({ noNaN: true })), (shape, stream) => {
        const count = shape.reduce((n, d) => n * d, 1);
        const data = Float32Array.from({ length: count }, () => stream.next().value as number);
        using tensor = Tensor.from(data, shape);
        expect(tensor.shape).toEqual(shape);
        expect(bytesOf(tensor.data())).toEqual(bytesOf(data));
      }),
      { numRuns: 200 },
    );
  });
});

describe('conversion', () => {
  const convert = (data: TensorData, to: DType, from?: DType) =>
    track(track(Tensor.from(data, undefined, from)).to({ dtype: to }));

  it('rounds to the nearest 16-bit float, ties to even', () => {
    // 1 + 2^-11 lies midway between two halves, 1 + 3 * 2^-11 as well; 65520 is the first that overflows.
    const source = Float32Array.of(1.5, -2, 65504, 65520, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -24);
    expect([...convert(source, 'float16').data()]).toEqual([
      0x3e00, 0xc000, 0x7bff, 0x7c00, 0x3c00, 0x3c02, 0x0001,
    ]);
    // bfloat16 keeps 7 fraction bits: 1 + 2^-8 and 1 + 3 * 2^-8 are ties.
    const ties = Float32Array.of(1.5, 1 + 2 ** -8, 1 + 3 * 2 ** -8);
    expect([...convert(ties, 'bfloat16').data()]).toEqual([0x3fc0, 0x3f80, 0x3f82]);
  });

  it('truncates towards zero from float to integer', () => {
    expect(numbers(convert(Float32Array.of(1.9, -1.9, 0.5), 'int32'))).toEqual([1, -1, 0]);
    expect([...convert(Float64Array.of(-2.7), 'int64').data()]).toEqual([-2n]);
  });

  it('wraps integers modulo their width, as C and numpy astype do', () => {
    expect(numbers(convert(Int32Array.of(300, -1), 'uint8'))).toEqual([44, 255]);
    expect(numbers(convert(Int32Array.of(200), 'int8'))).toEqual([-56]);
  });

  it('calls everything but zero true', () => {
    expect(numbers(convert(Float32Array.of(0, -0, 0.1, Number.NaN), 'bool'))).toEqual([0, 0, 1, 1]);
  });

  it('leaves the source alone', () => {
    const source = track(Tensor.from([1.5]));
    track(source.to({ dtype: 'int64' }));
    expect(facts(source)).toEqual({ values: [1.5], shape: [1], dtype: 'float32' });
  });
});

describe('arange, rand, randn', () => {
  it('arange counts from start to before end (numpy.arange)', () => {
    expect(numbers(track(Tensor.arange(0, 5)))).toEqual([0, 1, 2, 3, 4]);
    expect(facts(track(Tensor.arange(1, 8, 3, 'int64')))).toEqual({
      values: [1, 4, 7],
      shape: [3],
      dtype: 'int64',
    });
    expect(numbers(track(Tensor.arange(1, 0, -0.25)))).toEqual([1, 0.75, 0.5, 0.25]);
    expect(numbers(track(Tensor.arange(3, 3)))).toEqual([]);
  });

  it('random tensors follow the seed', () => {
    const draw = (seed: number) => {
      setupSeed(seed);
      return [...numbers(track(Tensor.rand([8]))), ...numbers(track(Tensor.randn([8], 'float64')))];
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  it('rand is uniform in [0, 1), randn standard normal', () => {
    setupSeed(0);
    const uniform = numbers(track(Tensor.rand([20_000])));
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...uniform)).toBeLessThan(1);
    const mean = (x: number[]) => x.reduce((a, b) => a + b, 0) / x.length;
    // Four standard errors of 20,000 draws: 4 sqrt(1/12 / n) and 4 sqrt(1 / n).
    expect(Math.abs(mean(uniform) - 0.5)).toBeLessThan(0.0082);
    const normal = numbers(track(Tensor.randn([20_000])));
    const average = mean(normal);
    expect(Math.abs(average)).toBeLessThan(0.029);
    // The variance of n normal draws has a standard error of sqrt(2 / n).
    expect(Math.abs(mean(normal.map((v) => (v - average) ** 2)) - 1)).toBeLessThan(0.04);
  });

  it('draws the numbers of PyTorch for a seed', () => {
    // torch.manual_seed(0); torch.rand(3) on CPU, as PyTorch's documentation of reproducibility shows it.
    setupSeed(0);
    const values = numbers(track(Tensor.rand([3])));
    expect(values.map((v) => v.toFixed(4))).toEqual(['0.4963', '0.7682', '0.0885']);
  });
});
