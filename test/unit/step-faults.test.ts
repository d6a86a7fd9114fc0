/** Steps that must leave no trace, and weights against class imbalance. */
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/loading/batch.js';
import { batchImages } from '../../src/loading/batch-images.js';
import { WeTr } from '../../src/models/wetr.js';
import { PolyWarmupAdamW, type PolyWarmupOptions } from '../../src/optim/poly-warmup-adamw.js';
import { hostReads, noGrad, scope, setupSeed } from '../../src/tensor/index.js';
import { positiveWeights } from '../../src/training/class-weights.js';
import { queueStep, type StepOptions, trainStep } from '../../src/training/step.js';
import { STEP_OPTIONS } from '../step-options.js';

const OPTIONS: StepOptions = { ...STEP_OPTIONS, camMode: 'train' };

const BATCH: Batch = {
  names: ['a', 'b'],
  pixels: {
    kind: 'floats',
    data: Float32Array.from({ length: 2 * 3 * 64 * 64 }, (_, i) => Math.sin(i * 0.01)),
  },
  height: 64,
  width: 64,
  labels: Float32Array.of(1, 0),
  boxes: Int32Array.of(0, 64, 0, 64, 0, 64, 0, 64),
};

/** As BATCH, but for one pixel that is NaN. */
const BAD: Batch = {
  ...BATCH,
  pixels: {
    kind: 'floats',
    data: (BATCH.pixels.data as Float32Array).map((value, i) => (i === 7 ? Number.NaN : value)),
  },
};

function withModel(
  body: (model: WeTr, optimizer: PolyWarmupAdamW) => void,
  options: Partial<PolyWarmupOptions> = {},
) {
  setupSeed(1);
  const model = new WeTr({ backbone: 'mit_b0', numClasses: 2, dropPath: 0, headDropout: 0 }).train();
  const { backbone, classifier, decoder } = model.parameterGroups();
  const optimizer = new PolyWarmupAdamW(
    [{ parameters: [...backbone, ...classifier, ...decoder], lr: 1e-3, weightDecay: 0.01 }],
    { betas: [0.9, 0.999], warmupIter: 0, maxIter: 8, warmupRatio: 1, power: 1, ...options },
  );
  try {
    body(model, optimizer);
  } finally {
    optimizer.dispose();
    model.dispose();
  }
}

const bytes = (model: WeTr) =>
  [...model.stateDict()].map(([name, { data }]) => [name, Buffer.from(data).toString('hex')]);

describe('a step', () => {
  it('whose loss is finite and whose gradient is not changes neither weights, statistics nor moments', () => {
    withModel((model, optimizer) => {
      // Wrong scores near 1e34 leave the loss finite. On the way back the norm of nearly equal numbers multiplies by up
      // to 1 / sqrt(eps), which leads beyond float32's 3.4e38.
      noGrad(() =>
        scope(() => {
          model.state().get('classifier.weight')!.mul_(1e34);
          model.state().get('encoder.patch_embed4.proj.weight')!.mul_(1e-6);
        }),
      );
      const before = bytes(model);
      const result = trainStep(model, optimizer, { ...BATCH, labels: Float32Array.of(0, 1) }, 'cam', OPTIONS);
      expect(Number.isFinite(result.loss)).toBe(true);
      expect(result.nonFinite).toBe('gradient');
      expect(bytes(model)).toEqual(before);
      expect(optimizer.stepCount).toBe(0);
    });
  });

  // On a GPU each reading would make the host wait for all that is queued.
  it('reads nothing back in any phase until its numbers are taken, and those at once', () => {
    withModel((model, optimizer) => {
      for (const phase of ['cls', 'cam', 'affinity'] as const) {
        // Masks of the grid are made at the first.
        trainStep(model, optimizer, BATCH, phase, OPTIONS);
        const before = hostReads();
        const steps = [1, 2].map(() => queueStep(model, optimizer, BATCH, phase, OPTIONS));
        expect(hostReads() - before, phase).toBe(0);
        const results = steps.map((step) => step.take());
        expect(hostReads() - before, phase).toBe(2);
        expect(results.map(({ nonFinite }) => nonFinite)).toEqual([undefined, undefined]);
        expect(results[0]!.loss).not.toBe(results[1]!.loss);
      }
    });
  });

  it('that was left out is no step of the schedule, even when the next was queued before that was known', () => {
    withModel((model, optimizer) => {
      const steps = [BATCH, BAD, BATCH].map((batch) => queueStep(model, optimizer, batch, 'cls', OPTIONS));
      const results = steps.map((step) => step.take());
      expect(results.map(({ nonFinite }) => nonFinite)).toEqual([undefined, 'loss', undefined]);
      expect(results[1]!.loss).toBeNaN();
      expect(optimizer.stepCount).toBe(2);
      expect(results[2]!.loss).toBeLessThan(results[0]!.loss);
      const { groups } = optimizer.state();
      expect(new Float32Array(Uint8Array.from(groups[0]!.steps[0]!.data).buffer)).toEqual(Float32Array.of(2));
    });
  });

  // The host hears of a step when the next one is queued already.
  it('after one that training stops at changes nothing any more, until a saved state is loaded', () => {
    const left = (batches: readonly Batch[]) => {
      let weights: ReturnType<typeof bytes> = [];
      withModel(
        (model, optimizer) => {
          const steps = batches.map((batch) => queueStep(model, optimizer, batch, 'cam', OPTIONS));
          const results = steps.map((step) => step.take());
          expect(results.map(({ nonFinite }) => nonFinite)).toEqual(
            [undefined, 'loss', 'gradient', 'gradient'].slice(0, batches.length),
          );
          expect(optimizer.stepCount).toBe(1);
          weights = bytes(model);
          optimizer.loadState(optimizer.state());
          expect(trainStep(model, optimizer, BATCH, 'cam', OPTIONS).nonFinite).toBeUndefined();
          expect(bytes(model)).not.toEqual(weights);
        },
        { stopAtNonFinite: true },
      );
      return weights;
    };
    expect(left([BATCH, BAD, BATCH, BATCH])).toEqual(left([BATCH]));
  });

  it('weighs positive labels as it is told', () => {
    // -w y log σ(x) - (1 - y) log(1 - σ(x)), mean over the batch: one label of each kind.
    withModel((model, optimizer) => {
      const [one, three] = [undefined, Float32Array.of(3)].map((positiveWeights) =>
        trainStep(model, optimizer, BATCH, 'cls', {
          ...OPTIONS,
          weights: { cls: 0, seg: 0, aff: 0 },
          positiveWeights,
        }),
      );
      const positive = (three!.clsLoss - one!.clsLoss) / 2;
      const logit = noGrad(() =>
        scope(() => model.forward(batchImages(BATCH), { cls: true }).cls!.toFloat32()),
      )[0]!;
      // Of the weights before: the first step's gradient is 0, but decay moves them by 1e-5.
      expect(positive).toBeCloseTo(Math.log1p(Math.exp(-logit)) / 2, 3);
    });
  });
});

describe('positiveWeights', () => {
  const labels = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 1, 0],
    [0, 0, 0],
  ].map((row) => Uint8Array.from(row));

  it('balances each class by its own counts, and leaves a class that is always or never there', () => {
    expect(positiveWeights('balanced', labels, 3)).toEqual(Float32Array.of(3, 1, 1));
    expect(positiveWeights('balanced', labels.slice(1, 3), 3)).toBeUndefined();
  });

  it('is one factor for all, or nothing', () => {
    expect(positiveWeights(2.5, labels, 3)).toEqual(Float32Array.of(2.5, 2.5, 2.5));
    expect(positiveWeights(1, labels, 3)).toBeUndefined();
  });
});

describe('maps at scale 1 of the training forward (cam.share_scale_1)', () => {
  const scales = [1, 0.5, 1.5];
  const PHASES = ['cam', 'affinity'] as const;
  const step = (phase: (typeof PHASES)[number], shareScaleOne: boolean) => {
    let result: ReturnType<typeof trainStep> | undefined;
    withModel((model, optimizer) => {
      result = trainStep(model, optimizer, BATCH, phase, { ...OPTIONS, scales, shareScaleOne });
    });
    return result!;
  };

  it.each(PHASES)(
    'give the same step without drop path, with a negative image beside (%s labels)',
    (phase) => {
      const [own, shared] = [step(phase, false), step(phase, true)];
      expect(own.foreground + own.background).toBeGreaterThan(0);
      for (const key of ['loss', 'clsLoss', 'segLoss', 'affLoss'] as const)
        expect(shared[key]).toBeCloseTo(own[key], 5);
      for (const key of ['foreground', 'background', 'posCount', 'negCount'] as const)
        expect(shared[key]).toBe(own[key]);
    },
  );
});
