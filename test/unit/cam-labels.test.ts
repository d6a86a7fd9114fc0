/** Labels from maps: boxes, thresholds, readings, background, affinity. Expected values by hand or by plain loops. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  affinityKinds,
  affinityLabel,
  cellLabels,
  propagateCam,
  transitionMatrix,
} from '../../src/cam/affinity.js';
import { boxMask, boxOf } from '../../src/cam/boxes.js';
import { denormalize } from '../../src/cam/denormalize.js';
import { getDownSize } from '../../src/cam/down-size.js';
import {
  camToLabel,
  combineReadings,
  ignoreOutsideBox,
  softmaxWithBackground,
  type Thresholds,
  validCam,
  withBackground,
} from '../../src/cam/pseudo-labels.js';
import { getMaskByRadius, radiusMask } from '../../src/cam/radius-mask.js';
import { IMAGE_MEAN, IMAGE_STD } from '../../src/tensor/image-statistics.js';
import { memory, scope, Tensor } from '../../src/tensor/index.js';
import { expectClose, facts, numbers } from '../native/support.js';

const run = (name: string, body: () => void) => it(name, () => scope(body));
const thresholds: Thresholds = { bkgScore: 0.45, highThre: 0.55, lowThre: 0.35, ignoreIndex: 255 };
const int64 = (values: number[], shape: number[]) => Tensor.from(BigInt64Array.from(values, BigInt), shape);

describe('boxes', () => {
  run('boxMask is true in rows y0..y1 and columns x0..x1, ends left out', () => {
    const boxes = Int32Array.of(0, 2, 0, 3, 1, 2, 1, 3);
    expect(boxOf(boxes, 1)).toEqual({ y0: 1, y1: 2, x0: 1, x1: 3 });
    expect(facts(boxMask(boxes, 2, 3))).toEqual({
      values: [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1],
      shape: [2, 2, 3],
      dtype: 'bool',
    });
  });

  run('an empty box covers nothing', () => {
    expect(boxMask(Int32Array.of(1, 1, 0, 3), 2, 3).any()).toBe(false);
  });

  it('boxMask is the product of two intervals, whatever the box', () => {
    const side = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(side, side, fc.array(fc.nat(9), { minLength: 4, maxLength: 4 }), (h, w, cuts) =>
        scope(() => {
          const [y0, y1] = [cuts[0]! % (h + 1), cuts[1]! % (h + 1)].sort((a, b) => a - b) as [number, number];
          const [x0, x1] = [cuts[2]! % (w + 1), cuts[3]! % (w + 1)].sort((a, b) => a - b) as [number, number];
          const expected = Array.from({ length: h * w }, (_, i) => {
            const [y, x] = [Math.floor(i / w), i % w];
            return Number(y >= y0 && y < y1 && x >= x0 && x < x1);
          });
          expect(numbers(boxMask(Int32Array.of(y0, y1, x0, x1), h, w))).toEqual(expected);
        }),
      ),
    );
  });

  run('ignoreOutsideBox keeps labels inside only', () => {
    const label = int64([1, 2, 3, 4], [1, 2, 2]);
    expect(numbers(ignoreOutsideBox(label, Int32Array.of(0, 2, 1, 2), 255))).toEqual([255, 2, 255, 4]);
  });
});

describe('camToLabel', () => {
  const full = (n: number) => Int32Array.of(0, 1, 0, n);
  // [strongest map, label]: above 0.55 foreground, up to 0.35 background, ignored between.
  const table: [number, number][] = [
    [0, 0],
    [0.35, 0],
    [0.3500001, 255],
    [0.45, 255],
    [0.5, 255],
    [0.55, 255],
    [0.5500001, 1],
    [1, 1],
  ];
  run('reads one class by its thresholds', () => {
    const cam = Tensor.from(
      table.map(([v]) => v),
      [1, 1, 1, table.length],
    );
    expect(facts(camToLabel(cam, full(table.length), thresholds))).toEqual({
      values: table.map(([, label]) => label),
      shape: [1, 1, table.length],
      dtype: 'int64',
    });
  });

  run('names the strongest of several classes, counted from 1', () => {
    const cam = Tensor.from([0.9, 0.1, 0.2, 0.6, 0.8, 0.3, 0.7, 0.2, 0.34], [1, 3, 1, 3]);
    // Columns (0.9, 0.6, 0.7), (0.1, 0.8, 0.2), (0.2, 0.3, 0.34).
    expect(numbers(camToLabel(cam, full(3), thresholds))).toEqual([1, 2, 0]);
  });

  run('ignores padding, whatever the map says there', () => {
    const cam = Tensor.full([1, 1, 1, 3], 0.9);
    expect(numbers(camToLabel(cam, Int32Array.of(0, 1, 1, 2), thresholds))).toEqual([255, 1, 255]);
  });

  run('takes another ignored number', () => {
    const cam = Tensor.full([1, 1, 1, 1], 0.5);
    expect(numbers(camToLabel(cam, full(1), { ...thresholds, ignoreIndex: 99 }))).toEqual([99]);
  });
});

describe('validCam, background', () => {
  run('validCam zeroes the maps of classes that an image does not have', () => {
    const valid = validCam(Tensor.ones([2, 2, 1, 2]), Tensor.from([1, 0, 0, 1], [2, 2]));
    expect(numbers(valid)).toEqual([1, 1, 0, 0, 0, 0, 1, 1]);
  });

  run('withBackground puts a one before the labels', () => {
    expect(facts(withBackground(Tensor.from([1, 0], [1, 2])))).toMatchObject({
      values: [1, 1, 0],
      shape: [1, 3],
    });
  });

  run('softmaxWithBackground is a softmax over background and present classes', () => {
    const cams = Tensor.from([0.8, 0.1, 0.5, 0.9], [1, 2, 1, 2]);
    const out = numbers(softmaxWithBackground(cams, Tensor.from([1, 0], [1, 2]), 0.4));
    const share = (a: number, b: number) => Math.exp(a) / (Math.exp(a) + Math.exp(b));
    expectClose(out, [share(0.4, 0.8), share(0.4, 0.1), share(0.8, 0.4), share(0.1, 0.4), 0, 0], 1e-6);
  });

  run('an image without classes is background alone', () => {
    const out = softmaxWithBackground(Tensor.rand([1, 3, 2, 2]), Tensor.zeros([1, 3]), 0.4);
    expect(numbers(out)).toEqual([1, 1, 1, 1, ...new Array(12).fill(0)]);
  });
});

describe('combineReadings', () => {
  run('foreground where the strict one says so, background where both do, else ignored', () => {
    const strict = int64([0, 0, 1, 2], [1, 1, 4]);
    const lenient = int64([0, 1, 1, 2], [1, 1, 4]);
    expect(numbers(combineReadings(strict, lenient, 255))).toEqual([0, 255, 1, 2]);
  });
});

describe('denormalize', () => {
  run(
    'gives back every byte of every channel in steps of 1/255, one lower at most where rounding falls short',
    () => {
      const plane = Array.from({ length: 256 }, (_, v) => v);
      const normalised = IMAGE_MEAN.flatMap((mean, c) =>
        plane.map((v) => Math.fround((v - mean) / IMAGE_STD[c]!)),
      );
      const values = numbers(denormalize(Tensor.from(normalised, [1, 3, 16, 16])));
      // Float32 by hand: multiply, round, add, round, truncate.
      const expected = normalised.map((x, i) => {
        const c = Math.floor(i / 256);
        const product = Math.fround(x * Math.fround(IMAGE_STD[c]!));
        return Math.trunc(Math.min(255, Math.max(0, Math.fround(product + Math.fround(IMAGE_MEAN[c]!)))));
      });
      expect(values.map((v) => Math.round(v * 255))).toEqual(expected);
      expect(values).toEqual(expected.map((v) => Math.fround(v / 255)));
      for (const [i, v] of expected.entries()) expect([0, 1]).toContain((i % 256) - v);
    },
  );

  run('stays within 0..1 beyond the scale', () => {
    expect(new Set(numbers(denormalize(Tensor.full([1, 3, 2, 2], 99))))).toEqual(new Set([1]));
    expect(new Set(numbers(denormalize(Tensor.full([1, 3, 2, 2], -99))))).toEqual(new Set([0]));
  });

  it('keeps its constants: no tensor more after the first call', () => {
    scope(() => {
      denormalize(Tensor.zeros([1, 3, 1, 1]));
    });
    const before = memory();
    scope(() => {
      denormalize(Tensor.zeros([1, 3, 2, 2]));
    });
    expect(memory()).toEqual(before);
  });
});

describe('grids and radius masks', () => {
  it.each<[[number, number], number, [number, number]]>([
    [[64, 64], 16, [4, 4]],
    [[97, 131], 16, [7, 9]],
    [[112, 112], 16, [7, 7]],
    [[320, 320], 16, [20, 20]],
    [[65, 33], 32, [3, 2]],
  ])('getDownSize(%j, %i) is %j', (size, stride, expected) => {
    expect(getDownSize(size, stride)).toEqual(expected);
  });

  it('getMaskByRadius holds pairs at most `radius` apart in rows and in columns', () => {
    const side = fc.integer({ min: 1, max: 7 });
    fc.assert(
      fc.property(side, side, fc.integer({ min: 0, max: 8 }), (h, w, radius) => {
        const mask = getMaskByRadius(h, w, radius);
        const n = h * w;
        for (let i = 0; i < n; i++)
          for (let j = 0; j < n; j++) {
            const rows = Math.abs(Math.floor(i / w) - Math.floor(j / w));
            const columns = Math.abs((i % w) - (j % w));
            expect(mask[i * n + j]).toBe(Number(rows <= radius && columns <= radius));
          }
      }),
      { numRuns: 40 },
    );
  });

  it('defaults to the seed document’s 20 x 20 and 8', () => {
    const mask = getMaskByRadius();
    expect(mask).toHaveLength(400 * 400);
    // The corner sees 9 x 9 cells, the middle 17 x 17.
    expect(mask.subarray(0, 400).reduce((a, b) => a + b, 0)).toBe(81);
    expect(mask.subarray(400 * 210, 400 * 211).reduce((a, b) => a + b, 0)).toBe(289);
  });

  it('radiusMask keeps the grids that were asked for last, however many sizes a set has', () => {
    radiusMask([2, 3], 1);
    const before = memory().liveTensors;
    for (let side = 4; side < 40; side++) {
      radiusMask([side, 3], 1);
      radiusMask([2, 3], 1);
    }
    // Eight are kept; some of them may have been there before.
    expect(memory().liveTensors - before).toBeLessThan(8);
    const asked = radiusMask([2, 3], 1);
    expect(asked.isDisposed).toBe(false);
    expect(radiusMask([2, 3], 1)).toBe(asked);
  });

  it('radiusMask is made once for each grid and survives scopes', () => {
    const first = scope(() => radiusMask([3, 5], 1));
    expect(scope(() => radiusMask([3, 5], 1))).toBe(first);
    expect(first.isDisposed).toBe(false);
    expect(numbers(first)).toEqual([...getMaskByRadius(3, 5, 1)]);
    expect(scope(() => radiusMask([5, 3], 1))).not.toBe(first);
  });
});

describe('affinity', () => {
  it('affinityLabel compares labels at the grid’s positions, for near and known pairs', () => {
    const cases = fc.record({
      labels: fc.array(fc.constantFrom(0, 1, 2, 255), { minLength: 2 * 6 * 8, maxLength: 2 * 6 * 8 }),
      h: fc.integer({ min: 1, max: 4 }),
      w: fc.integer({ min: 1, max: 4 }),
      radius: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(cases, ({ labels, h, w, radius }) =>
        scope(() => {
          const near = getMaskByRadius(h, w, radius);
          const n = h * w;
          const out = affinityLabel(int64(labels, [2, 6, 8]), [h, w], Tensor.from(near, [n, n], 'bool'), 255);
          const expected: number[] = [];
          for (let b = 0; b < 2; b++) {
            const at = (i: number) =>
              labels[(b * 6 + Math.floor((Math.floor(i / w) * 6) / h)) * 8 + Math.floor(((i % w) * 8) / w)]!;
            for (let i = 0; i < n; i++)
              for (let j = 0; j < n; j++)
                expected.push(
                  at(i) === 255 || at(j) === 255 || !near[i * n + j] ? 255 : Number(at(i) === at(j)),
                );
          }
          expect(facts(out)).toEqual({ values: expected, shape: [2, n, n], dtype: 'uint8' });
        }),
      ),
      { numRuns: 50 },
    );
  });

  run('cellLabels reads corners, as affinityLabel does, or centres', () => {
    const label = int64(
      Array.from({ length: 2 * 6 * 8 }, (_, i) => i),
      [2, 6, 8],
    );
    const rows = (at: number[][]) => at.flatMap(([y, ...xs]) => xs.map((x) => y! * 8 + x));
    const corners = rows([
      [0, 0, 4],
      [2, 0, 4],
      [4, 0, 4],
    ]);
    const centres = rows([
      [1, 2, 6],
      [3, 2, 6],
      [5, 2, 6],
    ]);
    const both = (values: number[]) => [...values, ...values.map((value) => value + 48)];
    for (const [point, values] of [
      ['corner', corners],
      ['centre', centres],
    ] as const)
      expect(facts(cellLabels(label, [3, 2], point))).toEqual({
        values: both(values),
        shape: [2, 3, 2],
        dtype: 'int64',
      });
  });

  it('affinityKinds is affinityLabel but for pairs of background, whatever the ignored label is', () => {
    const cases = fc.record({
      ignored: fc.constantFrom(2, 3, 255),
      labels: fc.array(fc.constantFrom(0, 1, 2, 3, 255), { minLength: 12, maxLength: 12 }),
      radius: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(cases, ({ ignored, labels, radius }) =>
        scope(() => {
          const near = getMaskByRadius(2, 3, radius);
          const known = (label: number) => label !== ignored && label !== 255;
          const kind = (b: number, i: number, j: number) => {
            const [one, other] = [labels[6 * b + i]!, labels[6 * b + j]!];
            if (!known(one) || !known(other) || !near[6 * i + j]) return 255;
            return one === other ? (one === 0 ? 2 : 1) : 0;
          };
          const out = affinityKinds(int64(labels, [2, 2, 3]), Tensor.from(near, [6, 6], 'bool'), ignored);
          const values = Array.from({ length: 72 }, (_, k) =>
            kind(Math.floor(k / 36), Math.floor(k / 6) % 6, k % 6),
          );
          expect(facts(out)).toEqual({ values, shape: [2, 6, 6], dtype: 'uint8' });
        }),
      ),
      { numRuns: 50 },
    );
  });

  it('labels of cells’ centres lie where the walk has the maps; those of corners lie half a cell beside them', () => {
    // A lesion of 20 x 20 pixels on 6 x 6 cells of 16, wherever it lies: a map of it walks by the affinity of itself.
    const SIDE = 96;
    const overlap = (y0: number, x0: number, point: 'corner' | 'centre') =>
      scope(() => {
        const inside = (y: number, x: number) => y >= y0 && y < y0 + 20 && x >= x0 && x < x0 + 20;
        const mask = Array.from({ length: SIDE * SIDE }, (_, i) =>
          Number(inside(Math.floor(i / SIDE), i % SIDE)),
        );
        const cells = cellLabels(int64(mask, [1, SIDE, SIDE]), [6, 6], point);
        const near = radiusMask([6, 6], 8);
        const affinity = affinityLabel(cells, [6, 6], near, 255).to({ dtype: 'float32' });
        const map = Tensor.from(Float32Array.from(mask), [1, 1, SIDE, SIDE]).interpolate([6, 6]);
        const walked = propagateCam(map, transitionMatrix(affinity, near), Tensor.ones([1, 1]), 0.35);
        const label = numbers(walked.interpolate([SIDE, SIDE]).argmax(1));
        const both = label.filter((value, i) => value === 1 && mask[i] === 1).length;
        return (2 * both) / (label.filter((value) => value === 1).length + 400);
      });
    const places = [20, 25, 30, 35, 40].flatMap((y) => [20, 25, 30, 35, 40].map((x) => [y, x] as const));
    const mean = (point: 'corner' | 'centre') =>
      places.reduce((sum, [y, x]) => sum + overlap(y, x, point), 0) / places.length;
    const [centre, corner] = [mean('centre'), mean('corner')];
    expect(centre).toBeGreaterThan(0.6);
    expect(corner).toBeLessThan(centre - 0.2);
  });

  run('transitionMatrix squares near pairs and scales columns by their sum plus 0.1', () => {
    const affinity = Tensor.from([0.5, 1, 0.2, 0.4], [1, 2, 2]);
    const near = Tensor.from(Uint8Array.of(1, 0, 1, 1), [2, 2], 'bool');
    const [left, right] = [0.25 + 0.04 + 0.1, 0 + 0.16 + 0.1];
    expectClose(numbers(transitionMatrix(affinity, near)), [0.25 / left, 0, 0.04 / left, 0.16 / right], 1e-6);
  });

  run('a column without near pairs stays 0 instead of dividing by 0', () => {
    const none = Tensor.zeros([2, 2], 'bool');
    expect(numbers(transitionMatrix(Tensor.ones([1, 2, 2]), none))).toEqual([0, 0, 0, 0]);
  });

  run('propagateCam moves scores along the transition: position j receives from every i', () => {
    const cams = Tensor.from([0.9, 0.1], [1, 1, 1, 2]);
    const transition = Tensor.from([0.5, 0.25, 0, 1], [1, 2, 2]);
    const labels = Tensor.ones([1, 1]);
    const [b, f] = [0, 1].map((c) =>
      numbers(softmaxWithBackground(cams, labels, 0.35)).slice(2 * c, 2 * c + 2),
    );
    const expected = [b!, f!].flatMap(([x, y]) => [x! * 0.5, x! * 0.25 + y!]);
    const out = propagateCam(cams, transition, labels, 0.35);
    expect(out.shape).toEqual([1, 2, 1, 2]);
    expectClose(numbers(out), expected, 1e-6);
  });
});
