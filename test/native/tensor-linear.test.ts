/** Products and layers against their formulas, written out in plain loops over the same numbers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scope, Tensor } from '../../src/tensor/index.js';
import { expectClose, facts, numbers } from './support.js';

const run = (name: string, body: () => void) => it(name, () => scope(body));
/** Values that look random and are the same every time. */
const wave = (size: number, phase: number) =>
  Float64Array.from({ length: size }, (_, i) => Math.sin(12.9898 * (i + 1) + phase));
const product = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);
const make = (shape: number[], phase: number) => Tensor.from(wave(product(shape), phase), shape);
const size = (max: number) => fc.integer({ min: 1, max });

describe('matmul', () => {
  it('multiplies matrices, in batches', () => {
    fc.assert(
      fc.property(size(3), size(4), size(4), size(4), (b, n, k, m) =>
        scope(() => {
          const [x, y] = [make([b, n, k], 0), make([b, k, m], 1)];
          const [xs, ys] = [numbers(x), numbers(y)];
          const expected: number[] = [];
          for (let i = 0; i < b; i++)
            for (let r = 0; r < n; r++)
              for (let c = 0; c < m; c++) {
                let sum = 0;
                for (let j = 0; j < k; j++) sum += xs[(i * n + r) * k + j]! * ys[(i * k + j) * m + c]!;
                expected.push(sum);
              }
          const out = x.matmul(y);
          expect(out.shape).toEqual([b, n, m]);
          expectClose(numbers(out), expected, 1e-12);
        }),
      ),
    );
  });

  run('vectors give a dot product', () => {
    expect(
      Tensor.from([1, 2, 3])
        .matmul(Tensor.from([4, 5, 6]))
        .item(),
    ).toBe(32);
  });
});

describe('linear', () => {
  run('is x Wᵀ + b over the last dimension', () => {
    const [x, w] = [make([2, 5, 3], 0), make([4, 3], 1)];
    const b = make([4], 2);
    const plain = x.matmul(w.transpose(0, 1));
    expectClose(numbers(x.linear(w)), numbers(plain), 1e-12);
    expectClose(numbers(x.linear(w, b)), numbers(plain.add(b)), 1e-12);
    expect(x.linear(w).shape).toEqual([2, 5, 4]);
  });
});

/** Cross-correlation with zero padding, straight from its definition. */
function naiveConv(
  x: Tensor,
  w: Tensor,
  { stride, padding, dilation, groups }: Record<'stride' | 'padding' | 'dilation' | 'groups', number>,
  bias?: Tensor,
) {
  const [B, C, H, W] = x.shape as [number, number, number, number];
  const [O, perGroup, K] = w.shape as [number, number, number, number];
  const reach = dilation * (K - 1) + 1;
  const [h, wd] = [H, W].map((n) => Math.floor((n + 2 * padding - reach) / stride) + 1) as [number, number];
  const [xs, ws, bs] = [numbers(x), numbers(w), bias ? numbers(bias) : undefined];
  const values: number[] = [];
  for (let b = 0; b < B; b++)
    for (let o = 0; o < O; o++)
      for (let r = 0; r < h; r++)
        for (let c = 0; c < wd; c++) {
          let sum = bs?.[o] ?? 0;
          for (let i = 0; i < perGroup; i++)
            for (let ky = 0; ky < K; ky++)
              for (let kx = 0; kx < K; kx++) {
                const y = r * stride - padding + ky * dilation;
                const col = c * stride - padding + kx * dilation;
                if (y < 0 || y >= H || col < 0 || col >= W) continue;
                const channel = Math.floor(o / (O / groups)) * perGroup + i;
                sum +=
                  xs[((b * C + channel) * H + y) * W + col]! * ws[((o * perGroup + i) * K + ky) * K + kx]!;
              }
          values.push(sum);
        }
  return { shape: [B, O, h, wd], values };
}

describe('conv2d', () => {
  it('follows its definition for any stride, padding, dilation and groups', () => {
    const cases = fc.record({
      stride: size(3),
      padding: fc.integer({ min: 0, max: 2 }),
      dilation: size(2),
      groups: fc.constantFrom(1, 2, 4),
      kernel: fc.constantFrom(1, 3),
      batch: size(2),
      height: fc.integer({ min: 5, max: 8 }),
      width: fc.integer({ min: 5, max: 8 }),
      withBias: fc.boolean(),
    });
    fc.assert(
      fc.property(cases, ({ kernel, batch, height, width, withBias, ...options }) =>
        scope(() => {
          const x = make([batch, 4, height, width], 0);
          const w = make([4, 4 / options.groups, kernel, kernel], 1);
          const bias = withBias ? make([4], 2) : undefined;
          const expected = naiveConv(x, w, options, bias);
          const out = x.conv2d(w, { bias, ...options });
          expect(out.shape).toEqual(expected.shape);
          expectClose(numbers(out), expected.values, 1e-11);
        }),
      ),
    );
  });

  run('defaults to stride 1 without padding', () => {
    const x = Tensor.from([1, 2, 3, 4], [1, 1, 2, 2]);
    expect(facts(x.conv2d(Tensor.ones([1, 1, 2, 2])))).toMatchObject({ shape: [1, 1, 1, 1], values: [10] });
  });
});

describe('layerNorm', () => {
  run('is (x - mean) / sqrt(variance + eps) * w + b over the last dimension', () => {
    const [rows, channels, eps] = [3, 4, 0.01];
    const x = make([rows, channels], 0);
    const [w, b] = [wave(channels, 1), wave(channels, 2)];
    const values = numbers(x);
    const expected = Array.from({ length: rows }, (_, r) => {
      const row = values.slice(r * channels, (r + 1) * channels);
      const mean = row.reduce((s, v) => s + v, 0) / channels;
      const variance = row.reduce((s, v) => s + (v - mean) ** 2, 0) / channels;
      return row.map((v, i) => ((v - mean) / Math.sqrt(variance + eps)) * w[i]! + b[i]!);
    }).flat();
    expectClose(numbers(x.layerNorm(Tensor.from(w), Tensor.from(b), eps)), expected, 1e-12);
  });

  run('uses 1e-5 unless told otherwise', () => {
    const flat = Tensor.from(Float64Array.of(0, 1e-3));
    const one = Tensor.ones([2], 'float64');
    const normalised = flat.layerNorm(one, Tensor.zeros([2], 'float64'));
    expectClose(
      numbers(normalised),
      [-1, 1].map((s) => (s * 5e-4) / Math.sqrt(2.5e-7 + 1e-5)),
      1e-9,
    );
  });
});

describe('crossEntropy', () => {
  const logits = () => Tensor.from([1, 2, 3, 0, 0, 5], [2, 3]);
  const labels = (...values: number[]) => Tensor.from(BigInt64Array.from(values, BigInt));
  // -log softmax, by its formula.
  const first = -(3 - Math.log(Math.exp(1) + Math.exp(2) + Math.exp(3)));
  const second = Math.log(2 + Math.exp(5));

  run('is the mean of -log softmax at the target', () => {
    expect(logits().crossEntropy(labels(2, 0)).item()).toBeCloseTo((first + second) / 2, 5);
  });

  run('can be summed or given for each element', () => {
    const sum = logits().crossEntropy(labels(2, 0), { reduction: 'sum' });
    expect(sum.item()).toBeCloseTo(first + second, 5);
    expectClose(numbers(logits().crossEntropy(labels(2, 0), { reduction: 'none' })), [first, second], 1e-5);
  });

  run('leaves ignored targets out of sum and count', () => {
    expect(logits().crossEntropy(labels(2, -100)).item()).toBeCloseTo(first, 5);
    expect(logits().crossEntropy(labels(2, 255), { ignoreIndex: 255 }).item()).toBeCloseTo(first, 5);
    const none = { ignoreIndex: 255, reduction: 'sum' } as const;
    expect(logits().crossEntropy(labels(255, 255), none).item()).toBe(0);
  });

  run('takes maps: [B, C, H, W] against [B, H, W]', () => {
    const maps = logits().reshape(2, 3, 1, 1).expand(2, 3, 2, 2);
    const target = labels(2, 2, 2, 2, 0, 0, 0, 0).reshape(2, 2, 2);
    expect(maps.crossEntropy(target).item()).toBeCloseTo((first + second) / 2, 5);
  });
});

describe('binaryCrossEntropyWithLogits', () => {
  const x = [0.5, -2, 30];
  const y = [1, 0, 0];
  const formula = (weight: number) =>
    x.reduce((sum, v, i) => {
      const softplus = (z: number) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
      return sum + weight * y[i]! * softplus(-v) + (1 - y[i]!) * softplus(v);
    }, 0) / 3;

  run('is the mean over elements, without overflow', () => {
    const loss = Tensor.from(x).binaryCrossEntropyWithLogits(Tensor.from(y));
    expect(loss.item()).toBeCloseTo(formula(1), 5);
  });

  run('weighs positives', () => {
    const loss = Tensor.from(x).binaryCrossEntropyWithLogits(Tensor.from(y), Tensor.from([3]));
    expect(loss.item()).toBeCloseTo(formula(3), 5);
  });
});
