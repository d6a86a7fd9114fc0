/** Over dimensions. Expected values by hand, or from JavaScript sums over the same numbers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scope, Tensor } from '../../src/tensor/index.js';
import { expectClose, facts, numbers } from './support.js';

const run = (name: string, body: () => void) => it(name, () => scope(body));
/** [[1, 2, 3], [4, 5, 6]] */
const matrix = () => Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]);

describe('sum, mean, std, amax, amin', () => {
  const SD = Math.sqrt(4.5); // of (1, 4): squared deviations 2.25 twice, over n - 1 = 1
  it.each<
    [string, (x: Tensor, dims?: number | number[], keepdim?: boolean) => Tensor, number, number[], number[]]
  >([
    ['sum', (x, d, k) => x.sum(d, k), 21, [5, 7, 9], [6, 15]],
    ['mean', (x, d, k) => x.mean(d, k), 3.5, [2.5, 3.5, 4.5], [2, 5]],
    ['std', (x, d, k) => x.std(d, k), Math.sqrt(3.5), [SD, SD, SD], [1, 1]],
    ['amax', (x, d, k) => x.amax(d, k), 6, [4, 5, 6], [3, 6]],
    ['amin', (x, d, k) => x.amin(d, k), 1, [1, 2, 3], [1, 4]],
  ])('%s over all, over rows, over columns', (_, op, all, rows, columns) =>
    scope(() => {
      expect(op(matrix()).shape).toEqual([]);
      expect(op(matrix()).item()).toBeCloseTo(all, 6);
      expectClose(numbers(op(matrix(), 0)), rows, 1e-6);
      expectClose(numbers(op(matrix(), 1)), columns, 1e-6);
      expectClose(numbers(op(matrix(), -1)), columns, 1e-6);
      expect(op(matrix(), 1, true).shape).toEqual([2, 1]);
      expect(op(matrix(), [0, 1]).item()).toBeCloseTo(all, 6);
      expect(op(matrix(), [0, 1], true).shape).toEqual([1, 1]);
      expect(op(matrix(), undefined, true).shape).toEqual([1, 1]);
    }),
  );

  run('sums of integers and booleans are int64, means need floats', () => {
    expect(facts(Tensor.from(Uint8Array.of(200, 200)).sum())).toMatchObject({
      values: [400],
      dtype: 'int64',
    });
    expect(
      Tensor.from(Uint8Array.of(1, 1, 0), [3], 'bool')
        .sum()
        .item(),
    ).toBe(2);
    expect(Tensor.from(Int32Array.of(3, 9)).amax().dtype).toBe('int32');
  });

  run('an empty sum is 0, an empty mean NaN', () => {
    expect(Tensor.zeros([0]).sum().item()).toBe(0);
    expect(Tensor.zeros([0]).mean().item()).toBeNaN();
    expect(numbers(Tensor.zeros([2, 0]).sum(1))).toEqual([0, 0]);
  });

  run('amax and amin pass NaN on', () => {
    const x = Tensor.from([1, Number.NaN, 3]);
    expect(x.amax().item()).toBeNaN();
    expect(x.amin().item()).toBeNaN();
  });

  it('agrees with sums of the same numbers, whatever the shape', () => {
    const shape = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(shape, fc.nat(), (dims, pick) =>
        scope(() => {
          const dim = pick % dims.length;
          const size = dims.reduce((n, d) => n * d, 1);
          const values = Float64Array.from({ length: size }, (_, i) => Math.sin(i + 1));
          const inner = dims.slice(dim + 1).reduce((n, d) => n * d, 1);
          const expected = new Array(size / dims[dim]!).fill(0);
          values.forEach((v, i) => {
            expected[Math.floor(i / (inner * dims[dim]!)) * inner + (i % inner)] += v;
          });
          const x = Tensor.from(values, dims);
          expectClose(numbers(x.sum(dim)), expected, 1e-12);
          expectClose(
            numbers(x.mean(dim)),
            expected.map((v) => v / dims[dim]!),
            1e-12,
          );
        }),
      ),
      { numRuns: 200 },
    );
  });
});

describe('max, argmax', () => {
  const x = () => Tensor.from([1, 5, 2, 7, 0, 7], [2, 3]);

  run('max gives values and int64 positions', () => {
    const { values, indices } = x().max(1);
    expect(numbers(values)).toEqual([5, 7]);
    expect(facts(indices)).toMatchObject({ dtype: 'int64', shape: [2] });
    expect(numbers(indices)[0]).toBe(1);
    expect(x().max(0, true).values.shape).toEqual([1, 3]);
    expect(numbers(x().max(0).indices)).toEqual([1, 0, 1]);
  });

  run('argmax over one dimension or over all', () => {
    expect(numbers(x().argmax(0))).toEqual([1, 0, 1]);
    expect(Tensor.from([3, 9, 4]).argmax().item()).toBe(1);
    expect(x().argmax(1, true).shape).toEqual([2, 1]);
    expect(Tensor.from([4, 9, 1, 2], [2, 2]).argmax().item()).toBe(1);
  });
});

describe('all, any, norm, allclose, item', () => {
  run('all and any are plain booleans', () => {
    expect([Tensor.ones([2]).all(), Tensor.from([1, 0]).all()]).toEqual([true, false]);
    expect([Tensor.zeros([2]).any(), Tensor.from([1, 0]).any()]).toEqual([false, true]);
    expect([Tensor.zeros([0]).all(), Tensor.zeros([0]).any()]).toEqual([true, false]);
  });

  run('norm is the L2 norm of all elements', () => {
    expect(Tensor.from([3, 4, 12], [3, 1]).norm().item()).toBe(13);
  });

  run('allclose: |a - b| <= atol + rtol |b|', () => {
    const a = Tensor.from([100]);
    expect(a.allclose(Tensor.from([100.0009]))).toBe(true);
    expect(a.allclose(Tensor.from([100.01]))).toBe(false);
    expect(a.allclose(Tensor.from([101]), 0, 1)).toBe(true);
    expect(a.allclose(Tensor.from([101]), 0, 0.99)).toBe(false);
    expect(Tensor.from([Number.NaN]).allclose(Tensor.from([Number.NaN]))).toBe(false);
  });

  run('item reads one element of any dtype and shape', () => {
    expect(Tensor.from([2.5], [1, 1, 1]).item()).toBe(2.5);
    expect(Tensor.from(BigInt64Array.of(-3n)).item()).toBe(-3);
    expect(Tensor.from(Uint8Array.of(1), [1], 'bool').item()).toBe(1);
    expect(Tensor.from(Uint16Array.of(0x3e00), [1], 'float16').item()).toBe(1.5);
  });
});

describe('softmax, logSoftmax, cumsum', () => {
  run('softmax by its formula, along a dimension', () => {
    const [a, b] = [Math.exp(1), Math.exp(2)];
    const x = Tensor.from([1, 2, 2, 1], [2, 2]);
    const p = [a / (a + b), b / (a + b)];
    expectClose(numbers(x.softmax(1)), [p[0]!, p[1]!, p[1]!, p[0]!], 1e-6);
    expectClose(numbers(x.softmax(0)), [p[0]!, p[1]!, p[1]!, p[0]!], 1e-6);
    expectClose(numbers(x.logSoftmax(1)), [p[0]!, p[1]!, p[1]!, p[0]!].map(Math.log), 1e-6);
  });

  run('softmax does not overflow, and minus infinity gets nothing', () => {
    expect(numbers(Tensor.from([1000, 1000]).softmax(0))).toEqual([0.5, 0.5]);
    expect(numbers(Tensor.from([0, -Infinity]).softmax(0))).toEqual([1, 0]);
    expect(numbers(Tensor.from([0, -1000]).logSoftmax(0))).toEqual([0, -1000]);
  });

  it('softmax sums to one and does not move when a constant is added', () => {
    const values = fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(values, fc.double({ min: -50, max: 50, noNaN: true }), (x, shift) =>
        scope(() => {
          const tensor = Tensor.from(Float64Array.from(x));
          const p = tensor.softmax(0);
          expect(p.sum().item()).toBeCloseTo(1, 12);
          expectClose(numbers(tensor.add(shift).softmax(0)), numbers(p), 1e-10);
        }),
      ),
    );
  });

  run('cumsum along a dimension', () => {
    expect(numbers(matrix().cumsum(1))).toEqual([1, 3, 6, 4, 9, 15]);
    expect(numbers(matrix().cumsum(0))).toEqual([1, 2, 3, 5, 7, 9]);
  });
});
