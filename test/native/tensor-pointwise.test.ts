/** Element by element: values by hand or from JavaScript's Math, promotion as Python's torch promotes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DType, scope, Tensor } from '../../src/tensor/index.js';
import { expectClose, facts, numbers } from './support.js';

const run = (name: string, body: () => void) => it(name, () => scope(body));
const t = (...values: number[]) => Tensor.from(values);
const int = (...values: number[]) => Tensor.from(BigInt64Array.from(values, BigInt));
const bool = (...values: number[]) => Tensor.from(Uint8Array.from(values), undefined, 'bool');
const of = (dtype: DType) => Tensor.ones([2], dtype);

describe('arithmetic', () => {
  it.each<[string, (a: Tensor, b: Tensor) => Tensor, number[]]>([
    ['add', (a, b) => a.add(b), [5, -1, 2.5]],
    ['sub', (a, b) => a.sub(b), [-3, -3, 3.5]],
    ['mul', (a, b) => a.mul(b), [4, -2, -1.5]],
    ['div', (a, b) => a.div(b), [0.25, -2, -6]],
    ['pow', (a, b) => a.pow(b), [1, -2, Math.fround(3 ** -0.5)]],
    ['maximum', (a, b) => a.maximum(b), [4, 1, 3]],
    ['minimum', (a, b) => a.minimum(b), [1, -2, -0.5]],
  ])('%s works element by element', (_, op, expected) =>
    scope(() => expectClose(numbers(op(t(1, -2, 3), t(4, 1, -0.5))), expected, 1e-6)),
  );

  it.each<[string, (a: Tensor) => Tensor, number[]]>([
    ['add', (a) => a.add(2), [3, 0]],
    ['sub', (a) => a.sub(2), [-1, -4]],
    ['mul', (a) => a.mul(2), [2, -4]],
    ['div', (a) => a.div(4), [0.25, -0.5]],
    ['pow', (a) => a.pow(2), [1, 4]],
    ['maximum', (a) => a.maximum(0), [1, 0]],
    ['minimum', (a) => a.minimum(0), [0, -2]],
  ])('%s takes a number', (_, op, expected) => scope(() => expect(numbers(op(t(1, -2)))).toEqual(expected)));

  run('divides by zero as IEEE 754 does', () => {
    expect(numbers(t(1, -1, 0).div(0))).toEqual([Infinity, -Infinity, Number.NaN]);
  });

  run('takes numbers that are not finite', () => {
    expect(numbers(t(1).add(Infinity))).toEqual([Infinity]);
    expect(numbers(t(1).mul(Number.NaN))).toEqual([Number.NaN]);
    expect(numbers(t(1, 5).minimum(-Infinity))).toEqual([-Infinity, -Infinity]);
  });
});

describe('functions of one tensor', () => {
  /** The exact GELU, x Φ(x), with Φ from scipy.stats.norm.cdf(1) and (-0.5). */
  const GELU = [0, 0.8413447460685429, -0.5 * 0.3085375387259869];
  it.each<[string, (a: Tensor) => Tensor, number[], number[]]>([
    ['neg', (a) => a.neg(), [1, -2, 0], [-1, 2, -0]],
    ['abs', (a) => a.abs(), [1, -2, 0], [1, 2, 0]],
    ['exp', (a) => a.exp(), [0, 1, -1], [1, Math.E, 1 / Math.E]],
    ['log', (a) => a.log(), [1, Math.E, 0.5], [0, 1, -Math.LN2]],
    ['sqrt', (a) => a.sqrt(), [4, 2, 0], [2, Math.SQRT2, 0]],
    ['square', (a) => a.square(), [3, -2, 0.5], [9, 4, 0.25]],
    ['tanh', (a) => a.tanh(), [0, 1, -2], [0, Math.tanh(1), Math.tanh(-2)]],
    ['sigmoid', (a) => a.sigmoid(), [0, 2, -3], [0.5, 1 / (1 + Math.exp(-2)), 1 / (1 + Math.exp(3))]],
    ['relu', (a) => a.relu(), [1, -2, 0], [1, 0, 0]],
    ['gelu', (a) => a.gelu(), [0, 1, -0.5], GELU],
    ['floor', (a) => a.floor(), [1.7, -1.2, 3], [1, -2, 3]],
    // Halves go to the even neighbour, as IEEE 754 and Python's round have it (Math.round does not).
    ['round', (a) => a.round(), [0.5, 1.5, -2.5], [0, 2, -2]],
  ])('%s', (_, op, input, expected) =>
    scope(() => {
      expectClose(numbers(op(t(...input))), expected, 1e-6);
      const double = Tensor.from(Float64Array.from(input));
      expect(op(double).dtype).toBe('float64');
      expectClose(numbers(op(double)), expected, 1e-12);
    }),
  );

  run('sqrt and log outside their domain give NaN, log 0 minus infinity', () => {
    expect(numbers(t(-1).sqrt())).toEqual([Number.NaN]);
    expect(numbers(t(-1, 0).log())).toEqual([Number.NaN, -Infinity]);
  });

  run('functions with fractional results turn integers into float32, the others keep them', () => {
    for (const op of [Tensor.prototype.exp, Tensor.prototype.sqrt, Tensor.prototype.sigmoid])
      expect(op.call(int(4)).dtype).toBe('float32');
    for (const op of [Tensor.prototype.neg, Tensor.prototype.abs, Tensor.prototype.square])
      expect(op.call(int(-3)).dtype).toBe('int64');
  });

  run('clamp keeps within one bound or both', () => {
    expect(numbers(t(-1, 0.5, 2).clamp(0, 1))).toEqual([0, 0.5, 1]);
    expect(numbers(t(-1, 0.5, 2).clamp(0))).toEqual([0, 0.5, 2]);
    expect(numbers(t(-1, 0.5, 2).clamp(undefined, 1))).toEqual([-1, 0.5, 1]);
  });

  run('clamp by whole numbers keeps integers', () => {
    // torch.tensor([1, 2, 3]).clamp(2, 3) is int64; a bound of 1.5 promotes as in arithmetic.
    expect(facts(int(1, 2, 3).clamp(2, 3))).toEqual({ values: [2, 2, 3], shape: [3], dtype: 'int64' });
    expect(Tensor.from(Uint8Array.of(1, 200)).clamp(0, 100).dtype).toBe('uint8');
    expect(facts(int(1, 2).clamp(1.5))).toEqual({ values: [1.5, 2], shape: [2], dtype: 'float32' });
  });
});

describe('comparison and logic', () => {
  it.each<[string, (a: Tensor, b: Tensor | number) => Tensor, number[]]>([
    ['eq', (a, b) => a.eq(b), [0, 1, 0]],
    ['ne', (a, b) => a.ne(b), [1, 0, 1]],
    ['lt', (a, b) => a.lt(b), [1, 0, 0]],
    ['le', (a, b) => a.le(b), [1, 1, 0]],
    ['gt', (a, b) => a.gt(b), [0, 0, 1]],
    ['ge', (a, b) => a.ge(b), [0, 1, 1]],
  ])('%s compares with a tensor and with a number', (_, op, expected) =>
    scope(() => {
      expect(facts(op(t(1, 2, 3), t(2, 2, 2)))).toEqual({ values: expected, shape: [3], dtype: 'bool' });
      expect(numbers(op(int(1, 2, 3), 2))).toEqual(expected);
    }),
  );

  run('NaN equals nothing', () => {
    const nan = t(Number.NaN);
    expect([nan.eq(nan), nan.ne(nan), nan.lt(1), nan.ge(1)].map((x) => x.any())).toEqual([
      false,
      true,
      false,
      false,
    ]);
  });

  run('an integer compared with a fraction is compared as a number', () => {
    expect(numbers(int(0, 1, 2).lt(0.5))).toEqual([1, 0, 0]);
  });

  run('logicalAnd, logicalOr, logicalNot', () => {
    const [a, b] = [bool(0, 0, 1, 1), bool(0, 1, 0, 1)];
    expect(numbers(a.logicalAnd(b))).toEqual([0, 0, 0, 1]);
    expect(numbers(a.logicalOr(b))).toEqual([0, 1, 1, 1]);
    expect(facts(t(0, 2).logicalNot())).toEqual({ values: [1, 0], shape: [2], dtype: 'bool' });
  });

  run('isfinite', () => {
    expect(numbers(t(1, Infinity, -Infinity, Number.NaN).isfinite())).toEqual([1, 0, 0, 0]);
  });

  run('where chooses, from tensors and numbers', () => {
    const condition = bool(1, 0);
    expect(numbers(Tensor.where(condition, t(1, 2), t(3, 4)))).toEqual([1, 4]);
    expect(facts(Tensor.where(condition, t(1, 2), 0.5))).toMatchObject({
      values: [1, 0.5],
      dtype: 'float32',
    });
    expect(facts(Tensor.where(condition, 1, 0))).toMatchObject({ values: [1, 0], dtype: 'int64' });
    expect(Tensor.where(condition, int(1, 2), 0.5).dtype).toBe('float32');
  });

  run('maskedFill writes a value where the mask holds', () => {
    const source = t(1, 2, 3);
    expect(numbers(source.maskedFill(source.gt(1), -1))).toEqual([1, -1, -1]);
    expect(numbers(source)).toEqual([1, 2, 3]);
    expect(facts(int(1, 2).maskedFill(bool(0, 1), 255))).toMatchObject({
      values: [1, 255],
      dtype: 'int64',
    });
    expect(numbers(t(1).maskedFill(bool(1), -Infinity))).toEqual([-Infinity]);
  });
});

describe('in place', () => {
  run('add_, mul_, fill_ and copy_ change the tensor and return it', () => {
    const x = t(1, 2);
    expect(x.add_(1)).toBe(x);
    expect(numbers(x)).toEqual([2, 3]);
    expect(numbers(x.mul_(t(2, 3)))).toEqual([4, 9]);
    expect(numbers(x.fill_(0.5))).toEqual([0.5, 0.5]);
    expect(numbers(x.copy_(int(7, 8)))).toEqual([7, 8]);
    expect(x.dtype).toBe('float32');
    expect(numbers(x.copy_(t(3)))).toEqual([3, 3]);
  });

  run('reaches every view of the same memory', () => {
    const x = Tensor.zeros([2, 2]);
    x.select(0, 1).fill_(5);
    expect(numbers(x)).toEqual([0, 0, 5, 5]);
  });
});

describe('promotion', () => {
  // torch.result_type's rules: a number lifts the category (bool < int < float), never the width.
  it.each<[DType, DType, DType]>([
    ['float32', 'float32', 'float32'],
    ['float64', 'float64', 'float64'],
    ['float16', 'float16', 'float16'],
    ['bfloat16', 'bfloat16', 'bfloat16'],
    ['int64', 'int64', 'float32'],
    ['int32', 'int32', 'float32'],
    ['int16', 'int16', 'float32'],
    ['int8', 'int8', 'float32'],
    ['uint8', 'uint8', 'float32'],
    ['bool', 'int64', 'float32'],
  ])('%s + 1 is %s, + 0.5 is %s', (dtype, whole, fraction) =>
    scope(() => {
      expect(facts(of(dtype).add(1).to({ dtype: 'float32' })).values).toEqual([2, 2]);
      expect(of(dtype).add(1).dtype).toBe(whole);
      expect(of(dtype).add(0.5).dtype).toBe(fraction);
      expect([...of(dtype).add(0.5).toFloat32()]).toEqual([1.5, 1.5]);
      expect(of(dtype).maximum(2).dtype).toBe(whole);
      expect(of(dtype).div(2).dtype).toBe(fraction);
    }),
  );

  // The table of PyTorch's documentation, torch.promote_types.
  it.each<[DType, DType, DType]>([
    ['float32', 'float64', 'float64'],
    ['float32', 'float16', 'float32'],
    ['float16', 'bfloat16', 'float32'],
    ['float16', 'int64', 'float16'],
    ['int64', 'float32', 'float32'],
    ['int32', 'int64', 'int64'],
    ['uint8', 'int8', 'int16'],
    ['uint8', 'int16', 'int16'],
    ['bool', 'uint8', 'uint8'],
    ['bool', 'bool', 'bool'],
  ])('%s with %s gives %s', (a, b, expected) =>
    scope(() => {
      expect(of(a).mul(of(b)).dtype).toBe(expected);
      expect(of(b).mul(of(a)).dtype).toBe(expected);
    }),
  );

  run('a whole number beyond an integer dtype wraps, as in PyTorch', () => {
    expect(numbers(Tensor.from(Uint8Array.of(1)).add(300))).toEqual([45]);
  });
});

describe('broadcasting (numpy rules)', () => {
  const dims = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 });

  it('gives the shape and the values of index arithmetic', () => {
    fc.assert(
      fc.property(dims, fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), (shape, drop) =>
        scope(() => {
          // The second operand: leading dimensions cut off and some of size 1.
          const other = shape.map((d, i) => (drop[i] ? 1 : d)).slice(drop[0] ? 1 : 0);
          const count = (s: number[]) => s.reduce((n, d) => n * d, 1);
          const a = Tensor.arange(0, count(shape)).reshape(...shape);
          const b = Tensor.arange(0, count(other))
            .mul(100)
            .reshape(...other);
          const sum = a.add(b);
          expect(sum.shape).toEqual(shape);
          const expected = Array.from({ length: count(shape) }, (_, flat) => {
            let rest = flat;
            let index = 0;
            let stride = 1;
            for (let i = 1; i <= shape.length; i++) {
              const position = rest % shape[shape.length - i]!;
              rest = Math.floor(rest / shape[shape.length - i]!);
              const size = other[other.length - i];
              if (size === undefined) break;
              index += size === 1 ? 0 : position * stride;
              stride *= size;
            }
            return flat + 100 * index;
          });
          expect(numbers(sum)).toEqual(expected);
        }),
      ),
      { numRuns: 200 },
    );
  });

  run('stretches both sides', () => {
    expect(
      facts(
        t(1, 2)
          .reshape(2, 1)
          .add(t(10, 20, 30)),
      ),
    ).toEqual({
      values: [11, 21, 31, 12, 22, 32],
      shape: [2, 3],
      dtype: 'float32',
    });
    expect(t(1, 2).add(Tensor.zeros([0, 1])).shape).toEqual([0, 2]);
  });
});
