/**
 * The fully-connected CRF: pydensecrf's own numbers, brute-force mean field with exact Gaussian kernels, facts that
 * follow from the model, and what is refused.
 */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { CRF_DEFAULTS, type CrfOptions, denseCrf, denseCrfAsync } from '../../src/cam/dense-crf.js';
import { readSafetensors } from '../../src/io/safetensors.js';
import { getNumThreads, memory, scope, setNumThreads, setupSeed, Tensor } from '../../src/tensor/index.js';
import { caught, childJson, expectClose, expectTorchError, numbers } from '../native/support.js';

const run = (name: string, body: () => void) => it(name, () => scope(body));

/** Mean field as NIPS 2011 defines it, O(N²), in float64: exact kernels, symmetric normalisation, Potts. */
function bruteForce(rgb: Uint8Array, probabilities: Tensor, options: Partial<CrfOptions> = {}): number[] {
  const o = { ...CRF_DEFAULTS, ...options };
  const [c, h, w] = probabilities.shape as [number, number, number];
  const n = h * w;
  const unary = numbers(probabilities).map((p) => Math.log(Math.min(1, Math.max(1e-5, p))));
  const kernel = (weight: number, xyStd: number, rgbStd: number) => {
    const k = Float64Array.from({ length: n * n }, (_, ij) => {
      const [i, j] = [Math.floor(ij / n), ij % n];
      let d = ((i % w) - (j % w)) ** 2 / xyStd ** 2;
      d += (Math.floor(i / w) - Math.floor(j / w)) ** 2 / xyStd ** 2;
      for (let a = 0; a < 3; a++) d += (rgb[3 * i + a]! - rgb[3 * j + a]!) ** 2 / rgbStd ** 2;
      return Math.exp(-d / 2);
    });
    const scale = Array.from({ length: n }, (_, i) =>
      Math.sqrt(k.subarray(i * n, (i + 1) * n).reduce((a, b) => a + b)),
    );
    return k.map((v, ij) => (weight * v) / (scale[Math.floor(ij / n)]! * scale[ij % n]!));
  };
  const position = kernel(o.posW, o.posXyStd, Number.POSITIVE_INFINITY);
  const colour = kernel(o.biW, o.biXyStd, o.biRgbStd);
  const both = position.map((v, ij) => v + colour[ij]!);
  let q: number[] = [];
  for (let step = 0; step <= o.iterations; step++) {
    const energy = unary.map((u, at) => {
      if (step === 0) return u;
      const [label, i] = [Math.floor(at / n), at % n];
      let sum = u;
      for (let j = 0; j < n; j++) sum += both[i * n + j]! * q[label * n + j]!;
      return sum;
    });
    q = new Array(c * n);
    for (let i = 0; i < n; i++) {
      const e = Array.from({ length: c }, (_, label) => Math.exp(energy[label * n + i]!));
      const total = e.reduce((a, b) => a + b);
      e.forEach((v, label) => {
        q[label * n + i] = v / total;
      });
    }
  }
  return q;
}

/** Two regions of different colour with a little noise, and probabilities that follow them loosely. */
function scene(c: number, h: number, w: number, seed = 3): [rgb: Uint8Array, probabilities: Tensor] {
  setupSeed(seed);
  const noise = numbers(Tensor.randn([h, w, 3]).mul(3));
  const inside = Array.from({ length: h * w }, (_, i) =>
    (i % w) - w / 2 + ((i / w - h / 2) * h) / w < 1 ? 1 : 0,
  );
  const rgb = Uint8Array.from(noise, (v, i) =>
    Math.max(
      0,
      Math.min(
        255,
        v +
          [
            [180, 80, 60],
            [70, 90, 160],
          ][inside[Math.floor(i / 3)]!]![i % 3]!,
      ),
    ),
  );
  const coarse = Tensor.randn([1, c, 4, 4]).mul(1.5).interpolate([h, w]).reshape(c, h, w);
  const hint = Tensor.from(inside, [1, h, w]).mul(2);
  const logits = Tensor.cat([coarse.narrow(0, 0, 1).add(hint), coarse.narrow(0, 1, c - 1)], 0);
  return [rgb, logits.softmax(0)];
}
const noiseImage = (h: number, w: number) =>
  Uint8Array.from(
    scope(() => numbers(Tensor.rand([h, w, 3]))),
    (v) => Math.floor(v * 256),
  );
const meanDifference = (a: number[], b: number[]) =>
  a.reduce((sum, v, i) => sum + Math.abs(v - b[i]!), 0) / a.length;

describe('pydensecrf answers the same', () => {
  // test/oracles/dense_crf.py made it with pydensecrf2 1.1. Both sum in float32, in different orders.
  const fixture = readSafetensors(
    fileURLToPath(new URL('../fixtures/cam/dense_crf.safetensors', import.meta.url)),
  );
  it.each<[string, Partial<CrfOptions>]>([
    ['iterations_0', { iterations: 0 }],
    ['iterations_1', { iterations: 1 }],
    ['iterations_10', {}],
    ['wide', { iterations: 5, posXyStd: 1, posW: 2, biXyStd: 20, biRgbStd: 13, biW: 10 }],
  ])('%s', (name, options) =>
    scope(() => {
      const probabilities = Tensor.fromRaw(fixture.get('probabilities')!);
      const actual = denseCrf(fixture.get('rgb')!.data, probabilities, options);
      expectClose(numbers(actual), numbers(Tensor.fromRaw(fixture.get(name)!)), 2e-5);
    }),
  );
});

describe('brute-force mean field', () => {
  // The lattice blurs by a piecewise-linear approximation of the Gaussian, a few percent off it (Adams et al. 2010,
  // section 3.2). Measured here: 0.054 at most, 0.003 on average, where the CRF moves probabilities by 0.14 to 0.25.
  it.each<[string, number, number, number, Partial<CrfOptions>]>([
    ['the defaults', 3, 20, 24, {}],
    ['position alone', 2, 18, 18, { biW: 0 }],
    ['colour alone', 4, 16, 20, { posW: 0 }],
    ['a wide colour term', 3, 20, 20, { biRgbStd: 40, biXyStd: 8 }],
    ['one step', 3, 20, 24, { iterations: 1 }],
    ['more classes than a lane', 10, 14, 15, {}],
  ])('%s', (_, c, h, w, options) =>
    scope(() => {
      const [rgb, probabilities] = scene(c, h, w);
      const actual = numbers(denseCrf(rgb, probabilities, options));
      const exact = bruteForce(rgb, probabilities, options);
      expect(meanDifference(exact, numbers(probabilities))).toBeGreaterThan(0.05);
      expectClose(actual, exact, 0.08);
      expect(meanDifference(actual, exact)).toBeLessThan(0.005);
    }),
  );
});

describe('facts of the model', () => {
  run('no iterations give the clipped probabilities back', () => {
    const probabilities = Tensor.from([1, 0, 0.25, 0, 1, 0.75], [2, 1, 3]);
    const out = denseCrf(noiseImage(1, 3), probabilities, { iterations: 0 });
    const tiny = 1e-5 / (1 + 1e-5);
    expectClose(numbers(out), [1 - tiny, tiny, 0.25, tiny, 1 - tiny, 0.75], 1e-6);
  });

  run('weights of 0 do as well', () => {
    const [rgb, probabilities] = scene(3, 9, 8);
    expectClose(numbers(denseCrf(rgb, probabilities, { posW: 0, biW: 0 })), numbers(probabilities), 1e-6);
  });

  run('one pixel hears itself alone: q = softmax(log p + (posW + biW) p)', () => {
    const out = denseCrf(noiseImage(1, 1), Tensor.from([0.6, 0.4], [2, 1, 1]), { iterations: 1 });
    const [a, b] = [0.6, 0.4].map((p) => p * Math.exp(7 * p)) as [number, number];
    expectClose(numbers(out), [a / (a + b), b / (a + b)], 1e-5);
  });

  run('on a flat image, the appearance term smooths in space as the smoothness term does', () => {
    const [, probabilities] = scene(3, 24, 20);
    const flat = new Uint8Array(24 * 20 * 3).fill(90);
    const appearance = denseCrf(flat, probabilities, { posW: 0, biW: 3, biXyStd: 3 });
    const exact = bruteForce(flat, probabilities, { biW: 0 });
    expect(meanDifference(numbers(appearance), exact)).toBeLessThan(0.01);
    expect(meanDifference(exact, numbers(probabilities))).toBeGreaterThan(0.1);
  });

  run('a blot of the wrong class takes the class of its colour', () => {
    const rgb = Uint8Array.from({ length: 40 * 40 * 3 }, (_, i) => (Math.floor(i / 3) % 40 < 20 ? 40 : 200));
    const label = (i: number) => {
      const [x, y] = [i % 40, Math.floor(i / 40)];
      return x < 20 || (x > 28 && x < 32 && y > 18 && y < 22) ? 0.8 : 0.2;
    };
    const left = Float32Array.from({ length: 1600 }, (_, i) => label(i));
    const probabilities = Tensor.from([...left, ...left.map((v) => 1 - v)], [2, 40, 40]);
    const out = numbers(denseCrf(rgb, probabilities).argmax(0));
    expect(out).toEqual(Array.from({ length: 1600 }, (_, i) => (i % 40 < 20 ? 0 : 1)));
  });

  run('permuted classes give permuted marginals', () => {
    const [rgb, probabilities] = scene(5, 17, 22);
    const order = Tensor.from(BigInt64Array.from([3n, 0n, 4n, 1n, 2n]));
    const permuted = denseCrf(rgb, probabilities.indexSelect(0, order));
    expectClose(numbers(permuted), numbers(denseCrf(rgb, probabilities).indexSelect(0, order)), 1e-5);
  });

  // 1 to 4 lanes of 8 are handled together, more in turn: 81 are COCO's classes.
  it('marginals are probabilities, and a class that is nowhere changes nothing, for any number of classes', () => {
    const cases = fc.record({
      seed: fc.nat(1000),
      c: fc.constantFrom(2, 7, 8, 9, 16, 17, 21, 25, 32, 33, 41, 81),
      h: fc.integer({ min: 1, max: 16 }),
      w: fc.integer({ min: 1, max: 16 }),
      noise: fc.boolean(),
    });
    fc.assert(
      fc.property(cases, ({ seed, c, h, w, noise }) =>
        scope(() => {
          const [two, probabilities] = scene(c, h, w, seed);
          const rgb = noise ? noiseImage(h, w) : two;
          const out = denseCrf(rgb, probabilities);
          expect([out.shape, out.dtype]).toEqual([[c, h, w], 'float32']);
          expectClose(numbers(out.sum(0)), new Array(h * w).fill(1), 1e-5);
          expect(numbers(out).every((v) => v >= 0 && v <= 1.00001)).toBe(true);
          const more = denseCrf(rgb, Tensor.cat([probabilities, Tensor.zeros([1, h, w])], 0));
          expectClose(numbers(more.narrow(0, 0, c)), numbers(out), 2e-3);
        }),
      ),
      { numRuns: 40 },
    );
  });
});

describe('as a function', () => {
  const threads = getNumThreads();
  afterEach(() => setNumThreads(threads));

  run('gives the same bits with 1, 2 and 3 threads', () => {
    const [rgb, probabilities] = scene(21, 96, 110);
    const [one, ...others] = [1, 2, 3].map((count) => {
      setNumThreads(count);
      return numbers(denseCrf(rgb, probabilities));
    });
    for (const other of others) expect(other).toEqual(one);
  });

  run('takes views, leaves its inputs alone, records no gradient, makes one tensor', () => {
    const [rgb, plain] = scene(3, 12, 10);
    const probabilities = plain.permute(1, 2, 0).contiguous().permute(2, 0, 1);
    probabilities.requiresGrad = true;
    const values = numbers(probabilities);
    const pixels = rgb.slice();
    const before = memory().liveTensors;
    const out = denseCrf(rgb, probabilities);
    expect(memory().liveTensors).toBe(before + 1);
    expect(out.requiresGrad).toBe(false);
    expect(numbers(probabilities)).toEqual(values);
    expect(rgb).toEqual(pixels);
    expect(numbers(out)).toEqual(numbers(denseCrf(rgb, plain)));
  });

  it('answers the same as a promise, which holds its inputs', async () => {
    const [rgb, probabilities] = scene(3, 30, 30);
    const expected = denseCrf(rgb, probabilities);
    const before = memory().liveTensors;
    const pending = denseCrfAsync(rgb, probabilities);
    rgb.fill(0);
    probabilities.dispose();
    const out = await pending;
    expect(numbers(out)).toEqual(numbers(expected));
    expect(memory().liveTensors).toBe(before);
    for (const tensor of [out, expected]) tensor.dispose();
  });

  it('works in four worker threads at once, and leaves memory flat', async () => {
    const { same, live, grown } = await childJson<{ same: boolean; live: number[]; grown: number }>(`
      import { Worker } from 'node:worker_threads';
      const WORK = ${JSON.stringify(`
        const { parentPort } = await import('node:worker_threads');
        const { denseCrf } = await import('DIST/cam/dense-crf.js');
        const { memory, scope, Tensor } = await import('DIST/tensor/index.js');
        const [h, w] = [40, 50];
        const rgb = Uint8Array.from({ length: h * w * 3 }, (_, i) => (i * i * 31 + (i % 150)) % 256);
        const maps = Float32Array.from({ length: 4 * h * w }, (_, i) => Math.sin(i / 37));
        const once = () => scope(() => [...denseCrf(rgb, Tensor.from(maps, [4, h, w]).softmax(0)).data()]);
        const first = once();
        for (let k = 0; k < 20; k++) once();
        parentPort.postMessage({ first, live: memory().liveTensors });
      `)};
      const work = () => new Promise((resolve, reject) => {
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(WORK)));
        worker.once('message', resolve).once('error', reject);
      });
      const round = () => Promise.all([work(), work(), work(), work()]);
      const all = await round();
      const rss = process.memoryUsage().rss;
      all.push(...(await round()));
      console.log(JSON.stringify({
        same: all.every((r) => r.first.every((v, i) => v === all[0].first[i])),
        live: all.map((r) => r.live),
        grown: (process.memoryUsage().rss - rss) / 2 ** 20,
      }));`);
    expect(same).toBe(true);
    expect(live).toEqual(new Array(8).fill(0));
    expect(grown).toBeLessThan(100);
  });
});

describe('bad input', () => {
  const [h, w] = [6, 5];
  const rgb = () => noiseImage(h, w);
  const probabilities = (c = 3) => Tensor.full([c, h, w], 1 / c);
  const withValue = (value: number, others = 1 / 3) => {
    const values = new Float32Array(3 * h * w).fill(1 / 3);
    for (const c of [0, 1, 2]) values[c * h * w + 13] = c === 0 ? value : others;
    return Tensor.from(values, [3, h, w]);
  };
  const option = (options: Partial<CrfOptions>) => denseCrf(rgb(), probabilities(), options);

  it.each<[string, () => unknown, RegExp]>([
    [
      'a batch',
      () => denseCrf(rgb(), Tensor.rand([1, 3, h, w])),
      /shape \[C, H, W\] but received \[1, 3, 6, 5\]/,
    ],
    ['no pixels', () => denseCrf(new Uint8Array(0), Tensor.zeros([3, 0, 4])), /\[C, H, W\].* \[3, 0, 4\]/],
    ['one class', () => denseCrf(rgb(), probabilities(1)), /at least 2 classes .* received 1/],
    [
      'float64',
      () => denseCrf(rgb(), probabilities().to({ dtype: 'float64' })),
      /float32 probabilities but received Double/,
    ],
    ['NaN', () => denseCrf(rgb(), withValue(Number.NaN)), /sum of nan .* at row 2, column 3/],
    ['infinity', () => denseCrf(rgb(), withValue(Number.POSITIVE_INFINITY)), /sum of inf .* row 2, column 3/],
    ['logits', () => denseCrf(rgb(), withValue(4)), /sum of 4.66667 .*softmax\(0\)/],
    ['negative numbers', () => denseCrf(rgb(), withValue(-1, 1)), /lowest value of -1 at row 2, column 3/],
    ['negative iterations', () => option({ iterations: -1 }), /at least 0 for iterations but received -1/],
    ['fractional iterations', () => option({ iterations: 1.5 }), /integer for argument 'iterations'/],
    ['a negative weight', () => option({ posW: -3 }), /at least 0 for posW but received -3/],
    ['an infinite weight', () => option({ biW: Number.POSITIVE_INFINITY }), /for biW but received inf/],
    ['a deviation of 0', () => option({ posXyStd: 0 }), /above 0 for posXyStd but received 0/],
    ['a negative deviation', () => option({ biXyStd: -64 }), /above 0 for biXyStd but received -64/],
    ['a deviation of NaN', () => option({ biRgbStd: Number.NaN }), /above 0 for biRgbStd but received nan/],
    ['a deviation beyond the lattice', () => option({ biRgbStd: 1e-4 }), /standard deviations .* so small/],
    ['a deviation that overflows', () => option({ biXyStd: 1e-300 }), /standard deviations .* so small/],
    ['a text for a number', () => option({ biW: '4' as never }), /number for argument 'biW'/],
  ])('%s', (_, call, message) =>
    scope(() => expectTorchError(caught(call), { code: 'ERR_INVALID_ARG', op: 'denseCrf', message })),
  );

  it.each<[string, () => unknown, RegExp]>([
    [
      'an image of another size',
      () => denseCrf(noiseImage(h, w + 1), probabilities()),
      /^RangeError: Expected 90 bytes .* probabilities of 6 x 5 but received 108$/,
    ],
    [
      'an array for an image',
      () => denseCrf([1, 2] as never, probabilities()),
      /^TypeError: Expected a Uint8Array for rgb but received an array of 2/,
    ],
    ['an array for probabilities', () => denseCrf(rgb(), [1] as never), /^TypeError: Expected a Tensor/],
  ])('%s', (_, call, message) => scope(() => expect(String(caught(call))).toMatch(message)));

  it('rejects the promise in the same words, and leaves no tensor', async () => {
    const given = probabilities();
    const before = memory().liveTensors;
    await expect(denseCrfAsync(noiseImage(2, 2), given)).rejects.toThrow(/Expected 90 bytes/);
    await expect(denseCrfAsync(rgb(), given, { posXyStd: 0 })).rejects.toThrow(/above 0 for posXyStd/);
    expect(memory().liveTensors).toBe(before);
    given.dispose();
  });
});
