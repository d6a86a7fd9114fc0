/** Several batches that make one step: gradients, losses and counts of one large batch. */
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/loading/batch.js';
import { WeTr } from '../../src/models/wetr.js';
import { PolyWarmupAdamW } from '../../src/optim/poly-warmup-adamw.js';
import { setupSeed } from '../../src/tensor/index.js';
import { type StepOptions, trainStep } from '../../src/training/step.js';
import { expectClose } from '../native/support.js';
import { STEP_OPTIONS } from '../step-options.js';

const OPTIONS: StepOptions = {
  ...STEP_OPTIONS,
  thresholds: { ...STEP_OPTIONS.thresholds, highThre: 0.5, lowThre: 0.45 },
};
const SIDE = 64;
const PIXELS = 3 * SIDE * SIDE;

/** Images first ... first + count - 1 of a series; every third has no class, so that parts differ in labelled pixels. */
function batchOf(first: number, count: number): Batch {
  const each = Array.from({ length: count }, (_, i) => first + i);
  return {
    names: each.map(String),
    pixels: {
      kind: 'floats',
      data: Float32Array.from({ length: count * PIXELS }, (_, i) => Math.sin((first * PIXELS + i) ** 1.3)),
    },
    height: SIDE,
    width: SIDE,
    labels: Float32Array.from(each, (i) => Number(i % 3 !== 0)),
    boxes: Int32Array.from(each.flatMap((i) => [0, SIDE, 0, SIDE - 8 * (i % 2)])),
  };
}

/** One step of a fresh model, in eval mode: BatchNorm would normalise over each part by itself. */
function step(batch: Batch | Batch[], phase: 'cls' | 'cam' | 'affinity', more: Partial<StepOptions> = {}) {
  setupSeed(1);
  using model = new WeTr({ backbone: 'mit_b0', numClasses: 2, dropPath: 0, headDropout: 0 }).eval();
  const parameters = [...model.parameters().values()];
  const optimizer = new PolyWarmupAdamW([{ parameters, lr: 1e-3, weightDecay: 0.01 }], {
    betas: [0.9, 0.999],
    warmupIter: 0,
    maxIter: 8,
    warmupRatio: 1,
    power: 1,
  });
  const result = trainStep(model, optimizer, batch, phase, { ...OPTIONS, ...more }, true);
  // First moments after one step are a tenth of the gradients.
  const moments = optimizer
    .state()
    .groups[0]!.firstMoments.flatMap(({ data }) => [...new Float32Array(Uint8Array.from(data).buffer)]);
  optimizer.dispose();
  return { result, moments };
}

const BY_KIND: Partial<StepOptions> = { affBalance: 'kinds', affLabelPoint: 'centre' };

describe.each([
  ['cls', {}],
  ['cam', {}],
  ['affinity', {}],
  ['affinity', BY_KIND],
] as const)('accumulated batches in phase %s with %o', (phase, more) => {
  it('have the losses, counts and gradients of the whole batch', () => {
    const whole = step(batchOf(0, 4), phase, more);
    const parts = step([batchOf(0, 2), batchOf(2, 2)], phase, more);
    const { loss, clsLoss, segLoss, affLoss, segAgreement, ...counts } = parts.result;
    const losses = { loss, clsLoss, segLoss, affLoss };
    for (const [name, value] of Object.entries(losses))
      expect(value, name).toBeCloseTo(whole.result[name as keyof typeof losses], 6);
    expect(whole.result).toMatchObject(counts);
    if (phase !== 'cls') {
      expect(segAgreement).toBeCloseTo(whole.result.segAgreement!, 6);
      expect(counts.foreground).toBeGreaterThan(0);
    }
    const largest = whole.moments.reduce((most, m) => Math.max(most, Math.abs(m)), 0);
    expect(largest).toBeGreaterThan(0);
    expectClose(parts.moments, whole.moments, largest * 1e-4);
  });
});

it('pairs by kind make another loss of as many pairs, and cells read at their centres other pairs', () => {
  const [original, byKind, atCentre] = [{}, { affBalance: 'kinds' }, BY_KIND].map(
    (more) => step(batchOf(0, 4), 'affinity', more as Partial<StepOptions>).result,
  );
  expect(byKind).toMatchObject({ posCount: original!.posCount, negCount: original!.negCount });
  expect(byKind!.affLoss).not.toBeCloseTo(original!.affLoss, 4);
  expect(byKind).toMatchObject({ clsLoss: original!.clsLoss, segLoss: original!.segLoss });
  expect([atCentre!.posCount, atCentre!.negCount]).not.toEqual([byKind!.posCount, byKind!.negCount]);
});

it('an image that is not finite leaves the whole step out, whichever part has it', () => {
  const bad = batchOf(2, 2);
  bad.pixels.data[5] = Number.NaN;
  const { result, moments } = step([batchOf(0, 2), bad], 'cls');
  expect(result).toMatchObject({ nonFinite: 'loss', loss: Number.NaN });
  expect(moments.every((m) => m === 0)).toBe(true);
});
