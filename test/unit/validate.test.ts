/** Validation scores against the same numbers counted pixel by pixel, several classes an image. */
import { describe, expect, it } from 'vitest';
import { multiScaleCam } from '../../src/cam/multi-scale.js';
import { loadConfig } from '../../src/config/load.js';
import { mapLabels } from '../../src/evaluation/map-labels.js';
import type { Batch } from '../../src/loading/batch.js';
import { batchImages } from '../../src/loading/batch-images.js';
import type { EvalLoader } from '../../src/loading/loader.js';
import { WeTr } from '../../src/models/wetr.js';
import { noGrad, setupSeed, Tensor } from '../../src/tensor/index.js';
import { stepOptions } from '../../src/training/setup.js';
import { type ValidateOptions, validate } from '../../src/training/validate.js';
import { validationTable } from '../../src/training/validation-table.js';
import { expectClose } from '../native/support.js';

const CLASSES = 4;
const LABELS = CLASSES - 1;
const SCALES = [1, 0.5];
const BKG = 0.45;
const PROPAGATION = { bkgScore: 0.35, radius: 2 };
const options: ValidateOptions = {
  device: 'cpu',
  scales: SCALES,
  cam: true,
  negativeMaps: true,
  bkgScore: BKG,
  propagation: PROPAGATION,
};

setupSeed(4);
const model = new WeTr({ backbone: 'mit_b0', numClasses: CLASSES });

/** Images of different shapes, several labels each, one without any; masks with ignored pixels. */
function makeBatch(name: string, labels: number[][], height: number, width: number, masked = true): Batch {
  const count = labels.length;
  const pixels = height * width;
  const values = Tensor.randn([count, 3, height, width]).toFloat32();
  const mask = (i: number) => {
    const present = [0, ...labels[i]!.flatMap((label, c) => (label ? [c + 1] : [])), 255];
    const data = Uint8Array.from({ length: pixels }, (_, p) => present[(p >> 4) % present.length]!);
    return { data, height, width };
  };
  return {
    names: labels.map((_, i) => `${name}${i}`),
    pixels: { kind: 'floats', data: values },
    height,
    width,
    labels: Float32Array.from(labels.flat()),
    boxes: Int32Array.from(labels.flatMap(() => [0, height, 0, width])),
    ...(masked && { masks: labels.map((_, i) => mask(i)) }),
  };
}

function loaderOf(batches: readonly Batch[]): EvalLoader {
  const queue = [...batches];
  const names = batches.flatMap((batch) => batch.names);
  return {
    dataset: { names, labels: [], numClasses: CLASSES, hasMasks: true } as unknown as EvalLoader['dataset'],
    length: names.length,
    skipped: 0,
    position: () => ({ epoch: 0, cursor: 0 }),
    next: async () => queue.shift(),
    close: async () => {},
  };
}

const batches = [
  makeBatch(
    'a',
    [
      [1, 0, 1],
      [0, 1, 0],
    ],
    64,
    96,
  ),
  makeBatch('b', [[0, 0, 0]], 64, 64),
  makeBatch('c', [[1, 1, 1]], 80, 70),
];

const softmax = (scores: number[]) => {
  const exps = scores.map((score) => Math.exp(score));
  const sum = exps.reduce((a, b) => a + b);
  return exps.map((e) => e / sum);
};
const argmax = (values: number[]) => values.reduce((best, v, i) => (v > values[best]! ? i : best), 0);

/** One image's label maps by plain loops: [seg, cam, aff]. */
function plainLabels(batch: Batch, i: number): number[][] {
  const { height, width } = batch;
  const pixels = height * width;
  const all = batchImages(batch);
  const image = all.narrow(0, i, 1);
  const labels = [...batch.labels.subarray(i * LABELS, (i + 1) * LABELS)];
  const out = model.forward(image, { seg: true, affinity: true });
  const logits = out.seg!.interpolate([height, width]).toFloat32();
  const each = (fn: (p: number) => number) => Array.from({ length: pixels }, (_, p) => fn(p));
  const seg = each((p) => argmax(Array.from({ length: CLASSES }, (_, c) => logits[c * pixels + p]!)));
  const { cam } = multiScaleCam(model, image, { scales: SCALES });
  const maps = cam.toFloat32();
  const camLabels = each((p) => {
    const valid = labels.map((label, c) => label * maps[c * pixels + p]!);
    const best = argmax(valid);
    return valid[best]! > Math.fround(BKG) ? best + 1 : 0;
  });

  // The walk over the 1/16 grid: near pairs' affinity squared, columns summing to one, background at a constant.
  const [h, w] = [Math.ceil(height / 16), Math.ceil(width / 16)];
  const n = h * w;
  const affinity = out.affinity!.toFloat32();
  const small = cam.interpolate([h, w]).toFloat32();
  const near = (a: number, b: number) =>
    Math.abs(Math.floor(a / w) - Math.floor(b / w)) <= PROPAGATION.radius &&
    Math.abs((a % w) - (b % w)) <= PROPAGATION.radius;
  const weight = (a: number, b: number) => (near(a, b) ? affinity[a * n + b]! ** 2 : 0);
  const present = labels.flatMap((label, c) => (label ? [c] : []));
  const probabilities = Array.from({ length: n }, (_, p) =>
    softmax([PROPAGATION.bkgScore, ...present.map((c) => small[c * n + p]!)]),
  );
  const walked = new Float32Array(CLASSES * n);
  for (let to = 0; to < n; to++) {
    const column = Array.from({ length: n }, (_, from) => weight(from, to));
    const sum = column.reduce((a, b) => a + b) + 0.1;
    [0, ...present.map((c) => c + 1)].forEach((k, index) => {
      walked[k * n + to] = column.reduce(
        (total, x, from) => total + (probabilities[from]![index]! * x) / sum,
        0,
      );
    });
  }
  const large = Tensor.from(walked, [1, CLASSES, h, w]).interpolate([height, width]).toFloat32();
  const aff = each((p) => argmax(Array.from({ length: CLASSES }, (_, c) => large[c * pixels + p]!)));
  return [seg, camLabels, aff];
}

/** Scores of pairs [truth, prediction]. */
function plainScores(pairs: [number, number][]) {
  const counted = pairs.filter(([truth]) => truth < CLASSES);
  const count = (test: (t: number, p: number) => boolean) => counted.filter(([t, p]) => test(t, p)).length;
  const classes = Array.from({ length: CLASSES }, (_, c) => c);
  const iou = classes.map((c) => count((t, p) => t === c && p === c) / count((t, p) => t === c || p === c));
  const recall = classes.map((c) => count((t, p) => t === c && p === c) / count((t) => t === c));
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  return { pAcc: count((t, p) => t === p) / counted.length, mAcc: mean(recall), miou: mean(iou), iou };
}

it('keys for small objects reach training; the original’s ways are the defaults', () => {
  const options = (...set: string[]) =>
    stepOptions(loadConfig({ file: 'configs/lasc_attn_reg.yaml', set }).config, 'cpu');
  expect(options()).toMatchObject({ affLabelPoint: 'corner', affBalance: 'pairs' });
  const small = options('train.aff_label_point=centre', 'train.aff_balance=kinds');
  expect(small).toMatchObject({ affLabelPoint: 'centre', affBalance: 'kinds' });
});

describe('mapLabels', () => {
  const labelled = [1, 0, 1];
  const refinedBy = (affinity: (from: number, to: number) => number) =>
    noGrad(() => {
      model.eval();
      const images = batchImages(batches[0]!).narrow(0, 0, 1);
      // 64 x 96 pixels: 4 x 6 cells.
      const of = Float32Array.from({ length: 24 * 24 }, (_, k) => affinity(Math.floor(k / 24), k % 24));
      const out = mapLabels(
        model,
        images,
        Tensor.from(labelled, [1, LABELS]),
        { affinity: Tensor.from(of, [1, 24, 24]) },
        options,
      );
      return { maps: out.refined!.toFloat32(), affLabels: out.affLabels!.toFloat32() };
    });
  const self = (from: number, to: number) => (from === to ? 1 : 0);

  it('stretches propagated maps to 0..1, and leaves those of absent classes 0', () => {
    const { maps } = refinedBy((from, to) => Math.exp(-Math.abs(from - to)));
    const pixels = 64 * 96;
    for (const [c, label] of labelled.entries()) {
      const map = maps.subarray(c * pixels, (c + 1) * pixels);
      expect(map.reduce((a, b) => Math.min(a, b))).toBe(0);
      expect(map.reduce((a, b) => Math.max(a, b))).toBeCloseTo(label, 3);
    }
  });

  it('is flat where each cell is like all others', () => {
    const everywhere = { ...options, propagation: { ...PROPAGATION, radius: 6 } };
    const { refined } = noGrad(() =>
      mapLabels(
        model,
        batchImages(batches[0]!).narrow(0, 0, 1),
        Tensor.from(labelled, [1, LABELS]),
        { affinity: Tensor.ones([1, 24, 24]) },
        everywhere,
      ),
    );
    expect(refined!.amax().item()).toBeLessThan(0.05);
  });

  it('does not take a cell that is like nothing else for one without the class', () => {
    // Columns of the transition sum to less than 1 where affinity is small: 0.1 is in their divisor.
    const sure = refinedBy(self);
    const faint = refinedBy((from, to) => 0.2 * self(from, to));
    expectClose(faint.maps, sure.maps, 1e-3);
    expect(faint.affLabels).toEqual(sure.affLabels);
  });
});

describe('validate', () => {
  it('scores head, CAM and propagated CAM as plain loops do', async () => {
    const scores = (await validate(model, loaderOf(batches), options))!;
    model.eval();
    const pairs: [number, number][][] = [[], [], []];
    noGrad(() => {
      for (const batch of batches)
        for (const [i, mask] of batch.masks!.entries())
          plainLabels(batch, i).forEach((labels, kind) => {
            labels.forEach((label, p) => {
              pairs[kind]!.push([mask!.data[p]!, label]);
            });
          });
    });
    const expected = pairs.map(plainScores);
    const got = [scores.segScore!, scores.camScore!, scores.affScore!];
    for (const [kind, score] of got.entries()) {
      // Ties on the way may move a pixel: one in a thousand.
      for (const key of ['pAcc', 'mAcc', 'miou'] as const)
        expect(score[key], `${kind} ${key}`).toBeCloseTo(expected[kind]![key], 3);
      score.iou.forEach((value, c) => {
        expect(value, `${kind} class ${c}`).toBeCloseTo(expected[kind]!.iou[c]!, 3);
      });
    }
    // The three are different maps, or the comparison would prove little.
    expect(new Set(got.map(({ pAcc }) => pAcc.toFixed(4))).size).toBe(3);
    expect(scores.reasons).not.toHaveProperty('segScore');
  });

  it('means classification scores over classes, and F1 over images beside them', async () => {
    const scores = (await validate(model, loaderOf(batches), options))!;
    model.eval();
    const f1: number[] = [];
    noGrad(() => {
      for (const batch of batches) {
        const images = batchImages(batch);
        const logits = model.forward(images, { cls: true }).cls!.toFloat32();
        batch.names.forEach((_, i) => {
          const at = (c: number) =>
            [logits[i * LABELS + c]! > 0, batch.labels[i * LABELS + c] === 1] as const;
          const rows = [0, 1, 2].map(at);
          const both = rows.filter(([predicted, actual]) => predicted && actual).length;
          const either = rows.reduce((sum, [p, a]) => sum + Number(p) + Number(a), 0);
          if (either > 0) f1.push((2 * both) / either);
        });
      }
    });
    expect(scores.sampleF1).toBeCloseTo(f1.reduce((a, b) => a + b) / f1.length, 12);
    const defined = scores.classes!.map(({ averagePrecision }) => averagePrecision!);
    expect(scores.mAP).toBeCloseTo(defined.reduce((a, b) => a + b) / LABELS, 12);
    const table = validationTable(scores)!.split('\n');
    // Header, rule, background and three classes, means, two accuracies.
    expect(table).toHaveLength(9);
    expect(table[0]).toMatch(/^% +AUROC +AP +F1 +seg IoU +CAM IoU +affinity IoU$/);
    expect(table[3]).toContain((100 * scores.camScore!.iou[1]!).toFixed(2));
  });

  it('scores the maps of each class over the images that have it', async () => {
    const scores = (await validate(model, loaderOf(batches), options))!;
    const pointing: number[][] = [[], [], []];
    const segDice: number[][] = [[], [], []];
    model.eval();
    noGrad(() => {
      for (const batch of batches)
        for (const [i, mask] of batch.masks!.entries()) {
          const pixels = batch.height * batch.width;
          const image = batchImages(batch).narrow(0, i, 1);
          const maps = multiScaleCam(model, image, { scales: SCALES }).cam.toFloat32();
          const [seg] = plainLabels(batch, i);
          for (let c = 0; c < LABELS; c++) {
            if (batch.labels[i * LABELS + c] !== 1) continue;
            const known = Array.from({ length: pixels }, (_, p) => p).filter((p) => mask!.data[p] !== 255);
            const top = known.reduce((best, p) =>
              maps[c * pixels + p]! > maps[c * pixels + best]! ? p : best,
            );
            pointing[c]!.push(Number(mask!.data[top] === c + 1));
            const sizes = [mask!.data, seg!].map((label) => known.filter((p) => label[p] === c + 1).length);
            const both = known.filter((p) => mask!.data[p] === c + 1 && seg![p] === c + 1).length;
            segDice[c]!.push((2 * both) / (sizes[0]! + sizes[1]!));
          }
        }
    });
    const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
    for (const [c, one] of scores.classes!.entries()) {
      expect(one.pointingGame).toBeCloseTo(mean(pointing[c]!), 12);
      expect(one.segDice).toBeCloseTo(mean(segDice[c]!), 3);
      expect(one.camDiceBest).toEqual({ threshold: expect.any(String), dice: expect.any(Number) });
    }
    expect(scores.pointingGame).toBeCloseTo(mean(pointing.flat()), 12);
    expect(scores.segDice).toBeCloseTo(mean(segDice.flat()), 3);
  });

  it('skips what is not asked for, with the reason, and changes nothing else', async () => {
    const all = (await validate(model, loaderOf(batches), options))!;
    const { propagation: _, ...without } = options;
    const some = (await validate(model, loaderOf(batches), without))!;
    expect(some).toEqual({ ...all, affScore: null, reasons: { affScore: 'val.aff is false' } });
    const none = (await validate(model, loaderOf(batches), { ...options, cam: false }))!;
    expect(none).toMatchObject({ segScore: null, camScore: null, affScore: null, sampleF1: all.sampleF1 });
    expect(none.reasons).toMatchObject({ segScore: 'val.cam is false', affScore: 'val.cam is false' });
  });

  it('is the same for any batch, and images without masks count for labels only', async () => {
    const extra = makeBatch('d', [[0, 1, 1]], 64, 64, false);
    const all = (await validate(model, loaderOf(batches), options))!;
    const more = (await validate(model, loaderOf([...batches, extra]), options))!;
    expect(more.images).toBe(all.images + 1);
    expect(more).toMatchObject({ segScore: all.segScore, camScore: all.camScore, affScore: all.affScore });
    const bare = (await validate(model, loaderOf([extra]), options))!;
    expect(bare).toMatchObject({
      segScore: null,
      camDice: null,
      reasons: { segScore: 'no masks beside the images' },
    });
  });
});
