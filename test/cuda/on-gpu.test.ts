/**
 * What needs a GPU: every reference fixture, mixed precision, the fused kernels against the CPU path, and that two runs
 * give the same. `compute-sanitizer npx vitest run test/cuda` looks over the kernels' shoulders.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affinityLabel, propagateCams } from '../../src/cam/affinity.js';
import { radiusMask } from '../../src/cam/radius-mask.js';
import { pixelAdaptiveRefine, refineInBoxes } from '../../src/cam/refine.js';
import type { Batch } from '../../src/loading/batch.js';
import { batchImages } from '../../src/loading/batch-images.js';
import { getAffLoss } from '../../src/losses/index.js';
import { type Amp, WeTr } from '../../src/models/wetr.js';
import { PolyWarmupAdamW } from '../../src/optim/poly-warmup-adamw.js';
import { runParity } from '../../src/parity/run.js';
import { microseconds, recordDevice } from '../../src/profile/index.js';
import {
  buildInfo,
  type Device,
  noGrad,
  scope,
  setDeterministic,
  setupSeed,
  Tensor,
} from '../../src/tensor/index.js';
import { queueStep, type StepOptions, trainStep } from '../../src/training/step.js';
import { stepGraphs } from '../../src/training/step-graphs.js';
import { expectClose, numbers } from '../native/support.js';
import { STEP_OPTIONS } from '../step-options.js';
import { noGpu, skipped } from './gpu.js';

const fixture = (name: string) =>
  fileURLToPath(new URL(`../fixtures/model/${name}.safetensors`, import.meta.url));
const FIXTURES = ['binary_b1_128', 'local_b0_192', 'gap_b2_64', 'nonsquare_b1_fwd', 'hf_mit_b0_96'];
const BOTH: readonly Device[] = ['cpu', 'cuda'];

const OPTIONS: StepOptions = {
  ...STEP_OPTIONS,
  scales: [1, 0.5, 1.5],
  par: { numIter: 10, dilations: [1, 2, 4, 8, 12, 24] },
  device: 'cuda',
};
const BATCH: Batch = {
  names: ['a', 'b', 'c'],
  pixels: {
    kind: 'floats',
    data: Float32Array.from({ length: 3 * 3 * 96 * 96 }, (_, i) => Math.sin(i ** 1.2)),
  },
  height: 96,
  width: 96,
  labels: Float32Array.of(1, 0, 1),
  boxes: Int32Array.of(0, 96, 0, 96, 0, 96, 0, 96, 5, 91, 0, 80),
};

/** Losses of some steps of one phase from the same weights. */
function losses(phase: 'cls' | 'cam' | 'affinity', device: Device, amp: Amp, steps = 3): number[] {
  setupSeed(1);
  using model = new WeTr({ backbone: 'mit_b0', numClasses: 2, dropPath: 0, headDropout: 0, amp }).to(device);
  const optimizer = new PolyWarmupAdamW(
    [{ parameters: [...model.parameters().values()], lr: 1e-4, weightDecay: 0.01 }],
    { betas: [0.9, 0.999], warmupIter: 0, maxIter: 8, warmupRatio: 1, power: 1 },
  );
  const options = { ...OPTIONS, device };
  const out = Array.from({ length: steps }, () => trainStep(model, optimizer, BATCH, phase, options).loss);
  optimizer.dispose();
  return out;
}

/** Of two tensors, relative to the second. */
function distance(ours: Tensor, expected: Tensor): number {
  const [a, b] = [ours, expected].map((tensor) => tensor.contiguous().toFloat32()) as [
    Float32Array,
    Float32Array,
  ];
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return norm(a.map((value, i) => value - b[i]!)) / norm(b);
}

describe.skipIf(noGpu)(`on a GPU${skipped}`, () => {
  it.each(FIXTURES)('%s agrees within 1e-3 in float32', (name) => {
    const report = runParity(fixture(name), 'cuda');
    expect(Object.entries(report.tensors).filter(([, { ok }]) => !ok)).toEqual([]);
  });

  it.each(['cls', 'cam', 'affinity'] as const)('steps of phase %s follow those of the CPU', (phase) => {
    const ours = losses(phase, 'cuda', 'none');
    for (const [i, loss] of losses(phase, 'cpu', 'none').entries())
      expect(Math.abs(ours[i]! / loss - 1), `step ${i}`).toBeLessThan(1e-2);
  });

  it.each([
    ['mit_b0', 'none', 1e-4],
    ['mit_b1', 'none', 1e-4],
    ['mit_b0', 'bf16', 0.02],
    ['mit_b1', 'bf16', 0.02],
  ] as const)('%s (amp %s) gives the CPU’s features, with gradients and without', (backbone, amp, off) =>
    scope(() => {
      setupSeed(2);
      using model = new WeTr({ backbone, numClasses: 2, amp }).to('cuda').eval();
      // Stages of 24 x 20 to 6 x 5 positions: strips that end within a row, tokens that end within a block.
      const images = Tensor.randn([3, 3, 96, 80]).to({ device: 'cuda' });
      setupSeed(2);
      using reference = new WeTr({ backbone, numClasses: 2 }).eval();
      const expected = noGrad(() => reference.forwardFeatures(images.to({ device: 'cpu' })));
      const features = [model.forwardFeatures(images), noGrad(() => model.forwardFeatures(images))];
      for (const ours of features)
        for (const [i, stage] of expected.entries())
          expect(distance(ours[i]!.detach(), stage), `stage ${i}`).toBeLessThan(off);
    }),
  );

  it('gradients in bf16 are near float32’s, with stochastic depth as without', () =>
    scope(() => {
      const images = Tensor.randn([4, 3, 96, 80]).to({ device: 'cuda' });
      for (const dropPath of [0, 0.5]) {
        const [expected, ours] = (['none', 'bf16'] as const).map((amp) => {
          setupSeed(3);
          using model = new WeTr({ backbone: 'mit_b1', numClasses: 2, dropPath, headDropout: 0, amp })
            .to('cuda')
            .train();
          setupSeed(4); // draws of the same branches
          model.forward(images, { cls: true }).cls!.square().sum().backward();
          const all = [...model.parameters()].filter(([name]) => name.startsWith('encoder.'));
          return Tensor.cat(all.map(([, parameter]) => parameter.grad!.reshape(-1)));
        });
        expect(distance(ours!, expected!), `drop path ${dropPath}`).toBeLessThan(0.1);
      }
    }));

  it('bf16 has the losses of float32 within 2 %', () => {
    const [first] = losses('affinity', 'cuda', 'bf16', 1);
    expect(Math.abs(first! / losses('affinity', 'cuda', 'none', 1)[0]! - 1)).toBeLessThan(0.02);
  });

  it('PAR, whole and in boxes, is the CPU’s', () =>
    scope(() => {
      setupSeed(3);
      const [images, masks] = [Tensor.rand([3, 3, 77, 93]), Tensor.rand([3, 11, 77, 93])];
      const boxes = Int32Array.of(0, 77, 0, 93, 3, 60, 0, 41, 76, 77, 90, 93);
      const [whole, inBoxes] = [[], []] as [Tensor[], Tensor[]];
      for (const device of BOTH) {
        const [i, m] = [images.to({ device }), masks.to({ device })];
        whole.push(pixelAdaptiveRefine(i, m, OPTIONS.par));
        inBoxes.push(refineInBoxes(i, [m], boxes, OPTIONS.par)[0]!);
      }
      expectClose(numbers(whole[1]!), numbers(whole[0]!), 1e-4);
      expectClose(numbers(inBoxes[1]!), numbers(inBoxes[0]!), 1e-4);
    }));

  it('batches of bytes become the CPU’s input to the last bit, also while others are on their way', () =>
    scope(() => {
      const sizes = [
        [1, 3, 5, 1],
        [7, 33, 65, 3],
        [16, 224, 224, 1],
        [5, 131, 257, 3],
      ] as const;
      const batches = Array.from({ length: 24 }, (_, i) => {
        const [count, height, width, channels] = sizes[i % sizes.length]!;
        const data = Uint8Array.from(
          { length: count * height * width * channels },
          (_, k) => (k * (i + 7)) >> 2,
        );
        const mirrored = Uint8Array.from({ length: count }, (_, b) => (b + i) % 2);
        return { pixels: { kind: 'bytes', data, channels, mirrored } as const, height, width };
      });
      const queued = batches.map((batch) => batchImages(batch, 'cuda'));
      for (const [i, batch] of batches.entries())
        expect(queued[i]!.toFloat32(), `batch ${i}`).toEqual(batchImages(batch).toFloat32());
    }));

  it('pair labels, affinity loss with its gradient, and the random walk are the CPU’s', () =>
    scope(() => {
      setupSeed(4);
      const label = Tensor.rand([2, 80, 112]).mul(3).floor().to({ dtype: 'int64' });
      const [values, cams] = [Tensor.rand([2, 35, 35]), Tensor.rand([2, 9, 5, 7])];
      const [cpu, gpu] = BOTH.map((device) => {
        const near = radiusMask([5, 7], 2, device);
        const affinity = Object.assign(values.to({ device }).clone(), { requiresGrad: true });
        const pairs = affinityLabel(label.to({ device }), [5, 7], near, 255);
        const { loss, posCount, negCount } = getAffLoss(affinity, pairs);
        loss.backward();
        const labels = Tensor.ones([2, 9], 'float32', device);
        const walked = propagateCams(cams.to({ device }), affinity.detach(), labels, [0.5, 0.3], 2);
        return { pairs, loss, counts: [posCount, negCount], gradient: affinity.grad!, walked };
      });
      expect(numbers(gpu!.pairs)).toEqual(numbers(cpu!.pairs));
      expect(gpu!.counts).toEqual(cpu!.counts);
      expect(gpu!.loss.item()).toBeCloseTo(cpu!.loss.item(), 5);
      expectClose(numbers(gpu!.gradient), numbers(cpu!.gradient), 1e-7);
      for (const i of [0, 1]) expectClose(numbers(gpu!.walked[i]!), numbers(cpu!.walked[i]!), 1e-5);
    }));

  it('a record of steps holds their kernels and copies, at their time', () => {
    setupSeed(1);
    using model = new WeTr({ backbone: 'mit_b0', numClasses: 2 }).to('cuda');
    const optimizer = new PolyWarmupAdamW(
      [{ parameters: [...model.parameters().values()], lr: 1e-4, weightDecay: 0 }],
      { betas: [0.9, 0.999], warmupIter: 0, maxIter: 20, warmupRatio: 1, power: 1 },
    );
    const step = () => void trainStep(model, optimizer, BATCH, 'affinity', OPTIONS);
    // CUPTI may be taken, under nsys or compute-sanitizer: then it says so. Captured graphs are recorded as well.
    for (let i = 0; i < 6; i++) step();
    const start = microseconds();
    const { activities, dropped, fault } = recordDevice('cuda', () => {
      step();
      step();
    });
    const end = microseconds();
    optimizer.dispose();
    if (fault !== undefined) {
      expect(fault).toContain('CUPTI');
      return;
    }
    expect(dropped).toBe(0);
    for (const { start: began, duration } of activities) {
      expect(began).toBeGreaterThan(start - 1000);
      expect(began + duration).toBeLessThan(end + 1000);
    }
    const count = (pattern: RegExp) => activities.filter(({ name }) => pattern.test(name)).length;
    expect(activities.some(({ kind }) => kind === 'copy')).toBe(true);
    expect(count(/layer_norm/)).toBeGreaterThan(0);
    expect(count(/multi_tensor_apply.*FusedAdam/)).toBeGreaterThanOrEqual(2);
    if (!buildInfo().cuda?.kernelArchitectures.length) return;
    // PAR's ten rounds once a step, and the three kernels of the affinity.
    expect(count(/roundKernel/)).toBeGreaterThanOrEqual(2 * 10);
    expect(count(/roundKernel/) % 10).toBe(0);
    for (const kernel of [/labelsKernel/, /sumsKernel/, /gradientsKernel/, /walkKernel/])
      expect(count(kernel)).toBeGreaterThanOrEqual(2);
    // And the record is over: another one begins afresh.
    expect(
      recordDevice('cuda', () => scope(() => Tensor.ones([2]).to({ device: 'cuda' }).add(1).item()))
        .activities.length,
    ).toBeLessThan(20);
  });

  describe('with --deterministic', () => {
    beforeAll(() => setDeterministic(true));
    afterAll(() => setDeterministic(false));
    it.each(['none', 'bf16'] as const)(
      'two runs of every phase give the same to the last bit (amp %s)',
      (amp) => {
        for (const phase of ['cls', 'cam', 'affinity'] as const)
          expect(losses(phase, 'cuda', amp)).toEqual(losses(phase, 'cuda', amp));
      },
    );
  });

  it.each(['cls', 'cam', 'affinity'] as const)(
    'steps of the phase %s through CUDA graphs are those without',
    (phase) => {
      const [without, through] = [false, true].map((graphs) => {
        setupSeed(1);
        using model = new WeTr({ backbone: 'mit_b0', numClasses: 2, dropPath: 0.3, cudaGraphs: graphs });
        model.to('cuda');
        const optimizer = new PolyWarmupAdamW(
          [{ parameters: [...model.parameters().values()], lr: 1e-4, weightDecay: 0.01 }],
          { betas: [0.9, 0.999], warmupIter: 4, maxIter: 100, warmupRatio: 1e-3, power: 1 },
        );
        const warnings: string[] = [];
        const recorder = graphs
          ? stepGraphs(model, optimizer, 'cuda', (message) => warnings.push(message))
          : undefined;
        const losses = Array.from({ length: 12 }, () =>
          queueStep(model, optimizer, BATCH, phase, { ...OPTIONS, graphs: recorder }),
        ).map((queued) => queued.take().loss);
        expect(warnings).toEqual([]);
        expect(recorder?.count).toBe(graphs ? 1 : undefined);
        recorder?.dispose();
        optimizer.dispose();
        return losses;
      });
      for (const [i, loss] of without!.entries())
        expect(Math.abs(through![i]! / loss - 1)).toBeLessThan(1e-3);
    },
  );

  it('a NaN is left out although the next step was queued before it was known', () => {
    using model = new WeTr({ backbone: 'mit_b0', numClasses: 2 }).to('cuda');
    const optimizer = new PolyWarmupAdamW(
      [{ parameters: [...model.parameters().values()], lr: 1e-4, weightDecay: 0 }],
      { betas: [0.9, 0.999], warmupIter: 0, maxIter: 8, warmupRatio: 1, power: 1 },
    );
    const data = (BATCH.pixels.data as Float32Array).map((v, i) => (i === 5 ? Number.NaN : v));
    const bad: Batch = { ...BATCH, pixels: { kind: 'floats', data } };
    const steps = [BATCH, bad, BATCH].map((batch) => queueStep(model, optimizer, batch, 'affinity', OPTIONS));
    expect(steps.map((step) => step.take().nonFinite)).toEqual([undefined, 'loss', undefined]);
    expect(optimizer.stepCount).toBe(2);
    optimizer.dispose();
  });
});
