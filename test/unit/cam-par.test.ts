/**
 * Pixel-adaptive refinement: the fused float32 kernel against the generic implementation (which float64 runs
 * through), and facts that follow from the paper's formula. The reference's own numbers: test/parity.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pixelAdaptiveRefine } from '../../src/cam/refine.js';
import { memory, scope, setupSeed, Tensor } from '../../src/tensor/index.js';
import { caught, expectClose, expectTorchError, numbers, runChild } from '../native/support.js';

const PAR = { numIter: 10, dilations: [1, 2, 4, 8, 12, 24] };
const run = (name: string, body: () => void) => it(name, () => scope(body));
const double = (x: Tensor) => x.to({ dtype: 'float64' });

/** Fused in float32 and generic in float64, of the same numbers. */
function both(images: Tensor, masks: Tensor, par = PAR): [fused: Tensor, generic: Tensor] {
  return [pixelAdaptiveRefine(images, masks, par), pixelAdaptiveRefine(double(images), double(masks), par)];
}
function expectSame([fused, generic]: [Tensor, Tensor], tolerance = 2e-5): void {
  expect([fused.dtype, generic.dtype]).toEqual(['float32', 'float64']);
  expect(fused.shape).toEqual(generic.shape);
  expectClose(numbers(fused), numbers(generic), tolerance);
}

describe('the fused kernel equals the generic one', () => {
  it('on images and masks of any size, batch and channels, with any dilations', () => {
    const cases = fc.record({
      seed: fc.nat(1000),
      batch: fc.integer({ min: 1, max: 3 }),
      channels: fc.integer({ min: 1, max: 4 }),
      h: fc.integer({ min: 1, max: 21 }),
      w: fc.integer({ min: 1, max: 70 }),
      maskH: fc.integer({ min: 1, max: 12 }),
      maskW: fc.integer({ min: 1, max: 12 }),
      dilations: fc.uniqueArray(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 4 }),
      numIter: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(cases, ({ seed, batch, channels, h, w, maskH, maskW, dilations, numIter }) =>
        scope(() => {
          setupSeed(seed);
          const images = Tensor.rand([batch, 3, h, w]);
          const masks = Tensor.rand([batch, channels, maskH, maskW]);
          expectSame(both(images, masks, { dilations, numIter }));
        }),
      ),
      { numRuns: 60 },
    );
  });

  it.each<[string, number[], (shape: number[]) => Tensor]>([
    ['a flat image', [1, 3, 16, 17], (s) => Tensor.full(s, 0.3)],
    ['a black image', [1, 3, 9, 9], (s) => Tensor.zeros(s)],
    [
      'half flat, half noise',
      [1, 3, 16, 20],
      (s) => Tensor.cat([Tensor.full([1, 3, 16, 10], 0.7), Tensor.rand([1, 3, 16, 10])], 3).reshape(...s),
    ],
    [
      'one bright pixel',
      [1, 3, 13, 13],
      (s) =>
        Tensor.where(
          Tensor.arange(0, 3 * 169)
            .reshape(...s)
            .eq(84),
          1,
          Tensor.full(s, 0.2),
        ),
    ],
    ['grey in steps of 1/255', [2, 3, 15, 12], (s) => Tensor.rand(s).mul(4).floor().div(255)],
    ['one pixel', [1, 3, 1, 1], (s) => Tensor.rand(s)],
    ['one column', [2, 3, 30, 1], (s) => Tensor.rand(s)],
    ['one row', [1, 3, 1, 30], (s) => Tensor.rand(s)],
    ['wider than a tile of 64', [1, 3, 3, 131], (s) => Tensor.rand(s)],
  ])('on %s', (_, shape, make) =>
    scope(() => {
      setupSeed(5);
      expectSame(both(make(shape), Tensor.rand([shape[0]!, 2, shape[2]!, shape[3]!])));
    }),
  );

  run('on views that are not contiguous', () => {
    const images = Tensor.rand([2, 12, 14, 3]).permute(0, 3, 1, 2);
    expectSame(both(images, Tensor.rand([2, 14, 12, 2]).permute(0, 3, 2, 1)));
  });
});

describe('facts of the formula', () => {
  // Weights are a softmax plus 0.01 of another: they sum to 1.01 everywhere, whatever the image.
  run('a constant mask grows by 1.01 a step', () => {
    const out = pixelAdaptiveRefine(Tensor.rand([1, 3, 20, 20]), Tensor.full([1, 1, 20, 20], 0.5), PAR);
    expectClose(numbers(out), new Array(400).fill(0.5 * 1.01 ** 10), 1e-5);
  });

  run('is linear in the mask', () => {
    const image = Tensor.rand([1, 3, 16, 16]);
    const [a, b] = [Tensor.rand([1, 2, 16, 16]), Tensor.rand([1, 2, 16, 16])];
    const refine = (x: Tensor) => pixelAdaptiveRefine(image, x, PAR);
    expectClose(numbers(refine(a.mul(2).add(b))), numbers(refine(a).mul(2).add(refine(b))), 1e-5);
  });

  run('masks of one image in one call are those of separate calls, bit for bit', () => {
    const [images, masks] = [Tensor.rand([2, 3, 18, 15]), Tensor.rand([2, 3, 18, 15])];
    const together = pixelAdaptiveRefine(images, masks, PAR);
    for (let i = 0; i < 2; i++)
      for (let c = 0; c < 3; c++) {
        const alone = pixelAdaptiveRefine(images.narrow(0, i, 1), masks.narrow(0, i, 1).narrow(1, c, 1), PAR);
        expect(numbers(together.narrow(0, i, 1).narrow(1, c, 1))).toEqual(numbers(alone));
      }
  });

  run('mirrored input gives mirrored output', () => {
    const [image, mask] = [Tensor.rand([1, 3, 17, 22]), Tensor.rand([1, 2, 17, 22])];
    const out = pixelAdaptiveRefine(image, mask, PAR);
    for (const dim of [2, 3]) {
      const mirrored = pixelAdaptiveRefine(image.flip(dim), mask.flip(dim), PAR).flip(dim);
      expectClose(numbers(mirrored), numbers(out), 1e-5);
    }
  });

  run('on a flat image every neighbour counts alike: a step averages them', () => {
    const mask = Tensor.zeros([1, 1, 9, 9]);
    mask.select(2, 4).select(2, 4).fill_(1);
    const out = pixelAdaptiveRefine(Tensor.full([1, 3, 9, 9], 0.4), mask, { numIter: 1, dilations: [1] });
    const values = numbers(out.reshape(9, 9));
    // 1/8 each from the image; the position term is 0.01 softmax(-(d / sd / 0.3)²) over d = 1 and sqrt 2, four each.
    const d = [1, 1, 1, 1, Math.SQRT2, Math.SQRT2, Math.SQRT2, Math.SQRT2];
    const mean = d.reduce((a, b) => a + b) / 8;
    const sd = Math.sqrt(d.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 7);
    const e = [1, Math.SQRT2].map((v) => Math.exp(-((v / sd / 0.3) ** 2)));
    const position = e.map((v) => (0.01 * v) / (4 * (e[0]! + e[1]!)));
    expect(values[4 * 9 + 4]).toBe(0);
    expect(values[4 * 9 + 5]).toBeCloseTo(1 / 8 + position[0]!, 6);
    expect(values[5 * 9 + 5]).toBeCloseTo(1 / 8 + position[1]!, 6);
    expect(values[2 * 9 + 4]).toBe(0);
  });

  run('no iterations resize the mask only, corners aligned', () => {
    const mask = Tensor.rand([1, 1, 3, 4]);
    const out = pixelAdaptiveRefine(Tensor.rand([1, 3, 7, 9]), mask, { ...PAR, numIter: 0 });
    expectClose(numbers(out), numbers(mask.interpolate([7, 9], 'bilinear', true)), 1e-6);
  });

  run('leaves its inputs alone, records no gradient, makes one tensor', () => {
    const [image, mask] = [Tensor.rand([1, 3, 8, 8]), Tensor.rand([1, 1, 8, 8])];
    mask.requiresGrad = true;
    const values = [numbers(image), numbers(mask)];
    const before = memory().liveTensors;
    const out = pixelAdaptiveRefine(image, mask, PAR);
    expect(memory().liveTensors).toBe(before + 1);
    expect(out.requiresGrad).toBe(false);
    expect([numbers(image), numbers(mask)]).toEqual(values);
  });
});

describe('bad input', () => {
  const image = () => Tensor.rand([1, 3, 8, 8]);
  const mask = () => Tensor.rand([1, 2, 8, 8]);
  const one = { numIter: 1, dilations: [1] };
  it.each<[string, () => unknown, string, RegExp]>([
    [
      'grey images',
      () => pixelAdaptiveRefine(Tensor.rand([1, 1, 8, 8]), mask(), one),
      'ERR_TORCH',
      /images of shape \[B, 3, h, w\] but received \[1, 1, 8, 8\]/,
    ],
    [
      'an image without a batch',
      () => pixelAdaptiveRefine(Tensor.rand([3, 8, 8]), mask(), one),
      'ERR_TORCH',
      /images of shape/,
    ],
    [
      'masks of another batch',
      () => pixelAdaptiveRefine(image(), Tensor.rand([2, 2, 8, 8]), one),
      'ERR_TORCH',
      /masks of shape \[1, c, h, w\] but received \[2, 2, 8, 8\]/,
    ],
    [
      'masks without channels',
      () => pixelAdaptiveRefine(image(), Tensor.rand([1, 8, 8]), one),
      'ERR_TORCH',
      /masks of shape/,
    ],
    [
      'no dilation',
      () => pixelAdaptiveRefine(image(), mask(), { ...one, dilations: [] }),
      'ERR_TORCH',
      /at least one dilation/,
    ],
    [
      'a fractional dilation',
      () => pixelAdaptiveRefine(image(), mask(), { ...one, dilations: [1.5] }),
      'ERR_INVALID_ARG',
      /an integer for argument 'dilations\[0\]'/,
    ],
    [
      'fractional iterations',
      () => pixelAdaptiveRefine(image(), mask(), { ...one, numIter: 0.5 }),
      'ERR_INVALID_ARG',
      /an integer for argument 'iterations'/,
    ],
    [
      'labels for masks',
      () => pixelAdaptiveRefine(image(), Tensor.zeros([1, 1, 8, 8], 'int64'), one),
      'ERR_TORCH',
      /not implemented for 'Long'/,
    ],
  ])('%s', (_, call, code, message) =>
    scope(() => expectTorchError(caught(call), { code, op: 'pixelAdaptiveRefine', message })),
  );

  // In a process of its own: read without a check, these reach outside the image's memory.
  it.each(['[-1]', '[1, -400]', '[0]'])('dilations %s', async (dilations) => {
    const result = await runChild(`
      import { pixelAdaptiveRefine } from 'DIST/cam/refine.js';
      import { Tensor } from 'DIST/tensor/index.js';
      try {
        pixelAdaptiveRefine(Tensor.rand([1, 3, 64, 64]), Tensor.rand([1, 2, 64, 64]), { dilations: ${dilations}, numIter: 2 });
        console.log('accepted');
      } catch (error) { console.log(error.name, error.message); }`);
    expect([result.code, result.signal]).toEqual([0, null]);
    expect(result.stdout).toMatch(/^TorchError .*dilation/);
  });
});
