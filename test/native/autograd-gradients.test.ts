/** Every differentiable operation against central differences in float64. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scope, Tensor } from '../../src/tensor/index.js';
import { numbers } from './support.js';

type Loss = (...inputs: Tensor[]) => Tensor;
const STEP = 1e-6;
const product = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);
/** Values apart from each other and from 0, where a maximum or a kink would have two gradients. */
const spread = (size: number, phase: number) =>
  Float64Array.from({ length: size }, (_, i) => {
    const value = Math.sin(12.9898 * (i + 1) + phase) * 1.7;
    return value + Math.sign(value) * 0.1;
  });

/** Weighs the elements of an output unequally, so that a gradient sent to the wrong element shows. */
const weigh = (output: Tensor) => output.mul(Tensor.from(spread(output.numel, 5), output.shape)).sum();

function checkGradients(loss: Loss, shapes: number[][], values = spread): void {
  const data = shapes.map((shape, k) => values(product(shape), k));
  const inputs = data.map((d, k) => Object.assign(Tensor.from(d, shapes[k]), { requiresGrad: true }));
  weigh(loss(...inputs)).backward();
  const evaluate = (changed: Float64Array, k: number) =>
    weigh(loss(...data.map((d, j) => Tensor.from(j === k ? changed : d, shapes[j])))).item();
  for (const [k, input] of inputs.entries()) {
    const gradient = numbers(input.grad!);
    expect(input.grad!.shape).toEqual(shapes[k]);
    for (let i = 0; i < gradient.length; i++) {
      const moved = (by: number) => data[k]!.map((v, j) => (j === i ? v + by : v));
      const slope = (evaluate(moved(STEP), k) - evaluate(moved(-STEP), k)) / (2 * STEP);
      expect(
        Math.abs(gradient[i]! - slope),
        `input ${k}, element ${i}: ${gradient[i]}, ${slope}`,
      ).toBeLessThan(1e-6 * Math.max(1, Math.abs(slope)) + 1e-7);
    }
  }
}

const positive = (size: number, phase: number) => spread(size, phase).map((v) => Math.abs(v) + 0.2);
const index = (...values: number[]) => Tensor.from(BigInt64Array.from(values, BigInt));

describe('pointwise, on any shape', () => {
  const shape = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 });
  it.each<[string, Loss, typeof spread?]>([
    ['neg', (x) => x.neg()],
    ['abs', (x) => x.abs()],
    ['exp', (x) => x.exp()],
    ['log', (x) => x.log(), positive],
    ['sqrt', (x) => x.sqrt(), positive],
    ['square', (x) => x.square()],
    ['tanh', (x) => x.tanh()],
    ['sigmoid', (x) => x.sigmoid()],
    ['relu', (x) => x.relu()],
    ['gelu', (x) => x.gelu()],
    ['clamp', (x) => x.clamp(-1, 1.05)],
    ['pow(3)', (x) => x.pow(3)],
    ['pow(0.5)', (x) => x.pow(0.5), positive],
    ['pow(-1)', (x) => x.pow(-1)],
    ['add of a number', (x) => x.add(3)],
    ['div by a number', (x) => x.div(-4)],
    ['maskedFill', (x) => x.maskedFill(x.gt(0.5), 2)],
    ['where', (x) => Tensor.where(x.gt(0), x.mul(2), x.square())],
    ['clone', (x) => x.clone()],
    ['conversion', (x) => x.to({ dtype: 'float64' }).mul(x)],
  ])('%s', (_, loss, values) => {
    fc.assert(
      fc.property(shape, (dims) => scope(() => checkGradients(loss, [dims], values))),
      { numRuns: 6 },
    );
  });

  it.each<[string, Loss, typeof spread?]>([
    ['add', (a, b) => a.add(b)],
    ['sub', (a, b) => a.sub(b)],
    ['mul', (a, b) => a.mul(b)],
    ['div', (a, b) => a.div(b)],
    ['pow', (a, b) => a.pow(b), positive],
    ['maximum', (a, b) => a.maximum(b)],
    ['minimum', (a, b) => a.minimum(b)],
  ])('%s, with broadcasting', (_, loss, values) => {
    fc.assert(
      fc.property(shape, fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), (dims, squash) =>
        scope(() => checkGradients(loss, [dims, dims.map((d, i) => (squash[i] ? 1 : d))], values)),
      ),
      { numRuns: 6 },
    );
  });
});

describe('reductions, shapes, layers', () => {
  const label = (...values: number[]) => index(...values);
  it.each<[string, Loss, number[][], typeof spread?]>([
    ['sum', (x) => x.sum(1), [[2, 3, 2]]],
    ['mean', (x) => x.mean([0, 2], true), [[2, 3, 2]]],
    ['std', (x) => x.std(0), [[4, 2]]],
    ['amax', (x) => x.amax(1), [[2, 5]]],
    ['amin', (x) => x.amin([0, 1]), [[2, 5]]],
    ['max', (x) => x.max(0).values, [[4, 2]]],
    ['norm', (x) => x.norm(), [[2, 3]]],
    ['softmax', (x) => x.softmax(1), [[2, 4]]],
    ['logSoftmax', (x) => x.logSoftmax(0), [[3, 2]]],
    ['cumsum', (x) => x.cumsum(1), [[2, 4]]],
    ['reshape', (x) => x.reshape(-1, 2), [[2, 3, 2]]],
    ['permute', (x) => x.permute(2, 0, 1).view(4, 3), [[1, 3, 4]]],
    ['transpose', (x) => x.transpose(0, 1), [[2, 3]]],
    ['expand', (x) => x.expand(2, 4, 3), [[4, 1]]],
    ['repeat', (x) => x.repeat(2, 3), [[2, 2]]],
    ['flip', (x) => x.flip(1), [[2, 3]]],
    ['narrow', (x) => x.narrow(1, 1, 2), [[2, 4]]],
    ['select', (x) => x.select(0, 1), [[3, 2]]],
    ['squeeze', (x) => x.unsqueeze(1).squeeze(1), [[3, 2]]],
    ['indexSelect', (x) => x.indexSelect(0, index(2, 0, 2)), [[3, 2]]],
    ['gather', (x) => x.gather(1, index(2, 0, 1, 1).reshape(2, 2)), [[2, 3]]],
    [
      'cat',
      (a, b) => Tensor.cat([a, b, a], 1),
      [
        [2, 2],
        [2, 1],
      ],
    ],
    [
      'stack',
      (a, b) => Tensor.stack([b, a], 1),
      [
        [2, 2],
        [2, 2],
      ],
    ],
    ['contiguous', (x) => x.transpose(0, 1).contiguous(), [[2, 3]]],
    [
      'matmul',
      (a, b) => a.matmul(b),
      [
        [2, 2, 3],
        [3, 2],
      ],
    ],
    ['linear', (x, w, b) => x.linear(w, b), [[2, 3], [4, 3], [4]]],
    [
      'conv2d',
      (x, w, bias) => x.conv2d(w, { bias, stride: 2, padding: 1 }),
      [[2, 2, 4, 5], [3, 2, 3, 3], [3]],
    ],
    [
      'conv2d in groups',
      (x, w) => x.conv2d(w, { groups: 2, dilation: 2 }),
      [
        [1, 2, 5, 5],
        [2, 1, 2, 2],
      ],
    ],
    ['layerNorm', (x, w, b) => x.layerNorm(w, b), [[3, 4], [4], [4]]],
    ['crossEntropy', (x) => x.crossEntropy(label(2, 0)), [[2, 3]]],
    [
      'crossEntropy with ignored targets',
      (x) => x.crossEntropy(label(2, 255, 1), { ignoreIndex: 255, reduction: 'sum' }),
      [[3, 3]],
    ],
    [
      'binaryCrossEntropyWithLogits',
      (x, y) => x.binaryCrossEntropyWithLogits(y.detach().gt(0).to({ dtype: 'float64' })).add(y.sum()),
      [
        [2, 3],
        [2, 3],
      ],
    ],
    ['bilinear interpolate', (x) => x.interpolate([5, 3]), [[1, 2, 3, 4]]],
    ['aligned interpolate', (x) => x.interpolate([2, 5], 'bilinear', true), [[1, 1, 3, 4]]],
    ['nearest interpolate', (x) => x.interpolate([5, 3], 'nearest'), [[1, 1, 3, 4]]],
    ['adaptiveMaxPool2d', (x) => x.adaptiveMaxPool2d([2, 1]), [[1, 2, 4, 3]]],
    ['adaptiveAvgPool2d', (x) => x.adaptiveAvgPool2d([2, 3]), [[1, 2, 5, 4]]],
    ['pad', (x) => x.pad([1, 2, 0, 1]), [[1, 1, 2, 3]]],
    ['pad by replication', (x) => x.pad([1, 2, 0, 1], 'replicate'), [[1, 1, 2, 3]]],
    ['pad by reflection', (x) => x.pad([1, 1, 1, 0], 'reflect'), [[1, 1, 2, 3]]],
  ])('%s', (_, loss, shapes, values) => scope(() => checkGradients(loss, shapes, values)));
});
