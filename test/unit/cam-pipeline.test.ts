/**
 * pixelLabels skips images without a class. Here every image, negatives too, goes through every step alone, and
 * the labels must be equal. Also: sizes at which the original crashes.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affinityLabel } from '../../src/cam/affinity.js';
import { denormalize } from '../../src/cam/denormalize.js';
import { getDownSize } from '../../src/cam/down-size.js';
import { multiScaleCam } from '../../src/cam/multi-scale.js';
import { type PipelineOptions, type PixelLabels, pixelLabels, propagated } from '../../src/cam/pipeline.js';
import { camToLabel, validCam } from '../../src/cam/pseudo-labels.js';
import { radiusMask } from '../../src/cam/radius-mask.js';
import { refinedAffLabel, refinedPseudoLabel, refineInBoxes } from '../../src/cam/refine.js';
import { getAffLoss, getSegLoss } from '../../src/losses/index.js';
import { WeTr } from '../../src/models/wetr.js';
import { deterministicState } from '../../src/parity/deterministic-weights.js';
import { memory, noGrad, scope, setupSeed, Tensor } from '../../src/tensor/index.js';
import { numbers } from '../native/support.js';

const OPTIONS: PipelineOptions = {
  scales: [1, 0.5, 1.5],
  thresholds: { bkgScore: 0.45, highThre: 0.55, lowThre: 0.35, ignoreIndex: 255 },
  par: { numIter: 3, dilations: [1, 2, 4, 8] },
  radius: 8,
  affinitySource: 'refined_aff_label',
  // One image a pass: then a batch is computed exactly as its images alone are.
  chunk: 1,
};
const CLASSES = 5;

let model: WeTr;
beforeAll(() => {
  model = new WeTr({ backbone: 'mit_b0', numClasses: CLASSES + 1 }).eval();
  model.loadStateDict(deterministicState(model.state()));
});
afterAll(() => model.dispose());

interface Case {
  images: Tensor;
  labels: Tensor;
  boxes: Int32Array;
}

/** Smooth images, of which maps can have contours, with a label row and a box for each. */
function makeCase(rows: number[][], height: number, width: number, boxes?: number[][]): Case {
  setupSeed(rows.length + height);
  const images = Tensor.randn([rows.length, 3, 9, 9]).interpolate([height, width]);
  return {
    images,
    labels: Tensor.from(rows.flat(), [rows.length, rows[0]!.length]),
    boxes: Int32Array.from((boxes ?? rows.map(() => [0, height, 0, width])).flat()),
  };
}

/** Every step for every image, whether it has a class or not. */
function withoutSkipping(input: Case, useAffinity: boolean, options: PipelineOptions): PixelLabels {
  const { thresholds, par, scales, radius, chunk } = options;
  const { images, labels, boxes } = input;
  const [, , height, width] = images.shape as [number, number, number, number];
  const multi = multiScaleCam(model, images, { scales, affinity: useAffinity, chunk });
  const valid = validCam(multi.cam, labels);
  const pseudo = camToLabel(valid, boxes, thresholds);
  const colours = denormalize(images);
  const fromCam = refinedPseudoLabel(colours, multi.cam, labels, boxes, thresholds, par);
  if (!useAffinity) return { refined: fromCam, affinity: fromCam, pseudo, validCam: valid };
  const scores = [thresholds.highThre, thresholds.lowThre];
  const [high, low] = propagated(multi, valid, labels, scores, radius).map((c) =>
    c.interpolate([height, width]),
  );
  const [strict, lenient] = refineInBoxes(colours, [high!, low!], boxes, par);
  const refined = refinedAffLabel(strict!, lenient!, boxes, thresholds);
  const affinity = options.affinitySource === 'refined_aff_label' ? refined : fromCam;
  return { refined, affinity, pseudo, validCam: valid };
}

const KEYS = ['refined', 'affinity', 'pseudo', 'validCam'] as const;

function expectEqual(actual: PixelLabels, expected: PixelLabels): void {
  for (const key of KEYS) {
    expect(actual[key].shape, key).toEqual(expected[key].shape);
    expect(actual[key].dtype, key).toBe(expected[key].dtype);
    expect(actual[key].eq(expected[key]).all(), key).toBe(true);
  }
}

const NEGATIVE = [0, 0, 0, 0, 0];
const BOXES = [
  [0, 64, 0, 80],
  [5, 60, 0, 71],
  [0, 33, 12, 80],
  [10, 64, 3, 40],
];

describe.each([
  ['maps', false, 'refined_aff_label'],
  ['propagated maps', true, 'refined_aff_label'],
  ['propagated maps, affinity from unpropagated ones', true, 'refined_pseudo_label'],
] as const)('labels from %s', (_, useAffinity, affinitySource) => {
  const options = { ...OPTIONS, affinitySource };

  it.each<[string, number[][]]>([
    [
      'all positive',
      [
        [1, 0, 0, 0, 0],
        [0, 1, 0, 1, 0],
        [1, 1, 1, 1, 1],
        [0, 0, 0, 0, 1],
      ],
    ],
    ['mixed', [NEGATIVE, [0, 1, 0, 1, 0], NEGATIVE, [1, 0, 0, 0, 0]]],
    ['one positive, the last', [NEGATIVE, NEGATIVE, NEGATIVE, [0, 0, 1, 0, 0]]],
    ['all negative', [NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE]],
  ])('of a batch that is %s are those without skipping', (_name, rows) =>
    scope(() => {
      const input = makeCase(rows, 64, 80, BOXES);
      const actual = pixelLabels(model, input, useAffinity, options);
      expectEqual(
        actual,
        noGrad(() => withoutSkipping(input, useAffinity, options)),
      );
    }),
  );

  it('of a batch are those of its images alone', () =>
    scope(() => {
      const rows = [[1, 0, 0, 0, 0], NEGATIVE, [0, 1, 1, 0, 0], [0, 0, 0, 1, 0]];
      const input = makeCase(rows, 64, 80, BOXES);
      const whole = pixelLabels(model, input, useAffinity, options);
      for (let i = 0; i < 4; i++) {
        const alone: Case = {
          images: input.images.narrow(0, i, 1),
          labels: input.labels.narrow(0, i, 1),
          boxes: input.boxes.slice(4 * i, 4 * i + 4),
        };
        const single = pixelLabels(model, alone, useAffinity, options);
        for (const key of KEYS)
          expect(numbers(whole[key].narrow(0, i, 1)), `${key} ${i}`).toEqual(numbers(single[key]));
      }
    }));

  it('are classes that the image has, background or ignored; padding is ignored; negatives are background', () =>
    scope(() => {
      const rows = [[1, 0, 0, 0, 0], NEGATIVE, [0, 1, 1, 0, 0], [0, 0, 0, 1, 0]];
      const labels = pixelLabels(model, makeCase(rows, 64, 80, BOXES), useAffinity, options);
      for (const key of ['refined', 'affinity', 'pseudo'] as const) {
        const values = numbers(labels[key]);
        expect(labels[key].dtype).toBe('int64');
        rows.forEach((row, i) => {
          const allowed = new Set([0, 255, ...row.flatMap((on, c) => (on ? [c + 1] : []))]);
          const [y0, y1, x0, x1] = BOXES[i] as [number, number, number, number];
          let inside = 0;
          for (let y = 0; y < 64; y++)
            for (let x = 0; x < 80; x++) {
              const value = values[(i * 64 + y) * 80 + x]!;
              expect(allowed.has(value)).toBe(true);
              const padding = y < y0 || y >= y1 || x < x0 || x >= x1;
              if (padding) expect(value).toBe(255);
              else if (row === NEGATIVE) expect(value).toBe(0);
              else inside += Number(value > 0 && value < 255);
            }
          // A test image whose maps name nothing would prove nothing.
          if (row !== NEGATIVE && key === 'pseudo') expect(inside).toBeGreaterThan(0);
        });
      }
    }));
});

describe('sizes from 64 up, odd ones too', () => {
  it.each([
    [64, 64],
    [112, 112],
    [97, 131],
    [65, 100],
  ])('%i x %i goes through labels, affinity labels and both losses', (height, width) =>
    scope(() => {
      const input = makeCase([[1, 0, 0, 0, 0], NEGATIVE, [0, 1, 0, 0, 1]], height, width);
      for (const useAffinity of [false, true]) {
        const labels = pixelLabels(model, input, useAffinity, OPTIONS);
        expect(labels.refined.shape).toEqual([3, height, width]);
        const out = model.forward(input.images);
        const grid = getDownSize([height, width]);
        const n = grid[0] * grid[1];
        const pairs = affinityLabel(labels.affinity, grid, radiusMask(grid, 8), 255);
        expect([pairs.shape, out.affinity!.shape]).toEqual([
          [3, n, n],
          [3, n, n],
        ]);
        const seg = getSegLoss(out.seg!.interpolate([height, width]), labels.refined);
        const aff = getAffLoss(out.affinity!, pairs);
        expect(seg.loss.item()).toBeGreaterThan(0);
        expect(aff.loss.item()).toBeGreaterThan(0);
        seg.loss.add(aff.loss).backward();
        expect(model.parameters().get('attn_proj.weight')!.grad!.isfinite().all()).toBe(true);
        for (const parameter of model.parameters().values()) parameter.clearGrad();
      }
    }),
  );
});

describe('bookkeeping', () => {
  it('makes the four tensors it returns (three, where affinity learns from the same label), without gradient', () => {
    scope(() => {
      const input = makeCase([[1, 0, 0, 0, 0], NEGATIVE], 64, 64);
      // The first call fills caches.
      pixelLabels(model, input, true, OPTIONS);
      const before = memory().liveTensors;
      const labels = pixelLabels(model, input, true, OPTIONS);
      expect(memory().liveTensors - before).toBe(new Set(Object.values(labels)).size);
      for (const key of KEYS) expect(labels[key].requiresGrad).toBe(false);
    });
  });

  // The lenient reading is a distribution over the image's classes and background, of which background is left out.
  it('returns propagated maps when asked, after the switch; classes that an image has not are 0 there', () =>
    scope(() => {
      const rows = [[1, 0, 0, 0, 0], NEGATIVE, [0, 1, 0, 1, 0]];
      const input = makeCase(rows, 64, 64);
      expect(pixelLabels(model, input, false, OPTIONS, true).propagated).toBeUndefined();
      const plain = pixelLabels(model, input, true, OPTIONS);
      const { propagated: kept, ...labels } = pixelLabels(model, input, true, OPTIONS, true);
      for (const key of KEYS) expect(numbers(labels[key])).toEqual(numbers(plain[key]));
      for (const cams of [kept!.affCam, kept!.refinedAffCam]) {
        expect(cams.shape).toEqual([3, 5, 64, 64]);
        const largest = cams.reshape(3, 5, -1).amax(2).toFloat32();
        rows.flat().forEach((on, i) => {
          if (on) expect(largest[i]).toBeGreaterThan(0);
          else expect(largest[i]).toBe(0);
        });
        expect(Math.max(...largest)).toBeLessThanOrEqual(1 + 1e-5);
      }
    }));

  it('the default chunk differs at ties only', () =>
    scope(() => {
      const input = makeCase([[1, 0, 0, 0, 0], NEGATIVE, [0, 1, 0, 1, 0]], 64, 64);
      const one = pixelLabels(model, input, true, OPTIONS);
      const many = pixelLabels(model, input, true, { ...OPTIONS, chunk: undefined });
      for (const key of ['refined', 'affinity', 'pseudo'] as const) {
        const differing = one[key].ne(many[key]).sum().item() / one[key].numel;
        expect(differing).toBeLessThanOrEqual(0.001);
      }
    }));
});
