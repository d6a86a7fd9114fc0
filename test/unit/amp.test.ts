/** Mixed precision: losses and maps near float32's, float32 where it counts, and no trace outside of the model's passes. */
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { affinityLabel } from '../../src/cam/affinity.js';
import { multiScaleCam } from '../../src/cam/multi-scale.js';
import { radiusMask } from '../../src/cam/radius-mask.js';
import type { Batch } from '../../src/loading/batch.js';
import { batchImages } from '../../src/loading/batch-images.js';
import { Random } from '../../src/loading/random.js';
import { getAffLoss, getSegLoss, multilabelSoftMarginLoss } from '../../src/losses/index.js';
import { auroc } from '../../src/metrics/auroc.js';
import { type Amp, WeTr } from '../../src/models/wetr.js';
import { native } from '../../src/native/index.js';
import { PolyWarmupAdamW } from '../../src/optim/poly-warmup-adamw.js';
import { deterministicState } from '../../src/parity/deterministic-weights.js';
import { type FixtureFacts, readFixture } from '../../src/parity/fixture.js';
import { noGrad, scope, setupSeed, Tensor } from '../../src/tensor/index.js';
import { type StepOptions, trainStep } from '../../src/training/step.js';
import { caught, expectTorchError, numbers } from '../native/support.js';
import { STEP_OPTIONS } from '../step-options.js';

const file = fileURLToPath(new URL('../fixtures/model/binary_b1_128.safetensors', import.meta.url));
const { facts, tensors } = readFixture(file) as { facts: FixtureFacts; tensors: Map<string, Tensor> };
const get = (name: string) => tensors.get(name)!;

/** The fixture's network, whose weights follow from their names. */
function network(amp: Amp): WeTr {
  const { backbone, num_classes } = facts;
  const model = new WeTr({ backbone, numClasses: num_classes, dropPath: 0, headDropout: 0, amp });
  model.loadStateDict(deterministicState(model.state()));
  return model.eval();
}
const models = { none: network('none'), bf16: network('bf16') };
afterAll(() => {
  for (const model of Object.values(models)) model.dispose();
});
const run = (name: string, body: () => void) => it(name, () => scope(body));

function losses(model: WeTr) {
  const out = model.forward(get('input'));
  const label = get('refined_pseudo_label').to({ dtype: 'int64' });
  const pairs = affinityLabel(label, [8, 8], radiusMask([8, 8], 8), 255);
  const cls = multilabelSoftMarginLoss(out.cls!, get('cls_labels'));
  const seg = getSegLoss(out.seg!.interpolate([facts.height, facts.width]), label).loss;
  const aff = getAffLoss(out.affinity!, pairs).loss;
  return { cls, seg, aff, total: cls.add(seg.mul(0.1)).add(aff.mul(0.1)) };
}

/** Cosine of the angle between two tensors' values. */
function cosine(a: Tensor, b: Tensor): number {
  return a.mul(b).sum().item() / (a.norm().item() * b.norm().item());
}

describe('a bf16 model', () => {
  run("has the reference's losses within 2 %", () => {
    const ours = losses(models.bf16);
    for (const name of ['cls', 'seg', 'aff', 'total'] as const)
      expect(Math.abs(ours[name].item() / facts.losses![name] - 1), name).toBeLessThan(0.02);
    // Not float32 after all.
    expect(ours.total.item()).not.toBe(losses(models.none).total.item());
  });

  run('gives float32 outputs, and float32 gradients in the direction of float32', () => {
    const out = models.bf16.forward(get('input'), { cls: true, seg: true, affinity: true, attention: true });
    for (const tensor of [out.cls!, out.seg!, out.affinity!, ...out.attention!])
      expect(tensor.dtype).toBe('float32');
    for (const model of Object.values(models)) losses(model).total.backward();
    const flat = (model: WeTr) =>
      Tensor.cat([...model.parameters().values()].map((p) => p.grad!.reshape(-1)));
    for (const [name, parameter] of models.none.parameters()) {
      const gradient = models.bf16.parameters().get(name)!.grad!;
      expect(gradient.dtype).toBe('float32');
      // A bias that the next norm takes out again has no direction to speak of.
      if (parameter.numel > 1000) expect(cosine(gradient, parameter.grad!), name).toBeGreaterThan(0.9);
    }
    expect(cosine(flat(models.bf16), flat(models.none))).toBeGreaterThan(0.99);
    for (const model of Object.values(models)) for (const p of model.parameters().values()) p.clearGrad();
  });

  run('makes maps and affinity near float32', () => {
    const options = { scales: [1, 0.5, 1.5], affinity: true };
    const [whole, half] = [models.none, models.bf16].map((model) =>
      multiScaleCam(model, get('input'), options),
    );
    expect(half!.cam.dtype).toBe('float32');
    expect(half!.cam.sub(whole!.cam).abs().mean().item()).toBeLessThan(0.02);
    expect(half!.affinity!.sub(whole!.affinity!).abs().mean().item()).toBeLessThan(0.02);
  });

  // Weights cast without gradients would cut the next pass off from its parameters, were they kept.
  run('has all its gradients after CAM passes', () => {
    multiScaleCam(models.bf16, get('input'), { scales: [1] });
    noGrad(() => models.bf16.forward(get('input')));
    losses(models.bf16).total.backward();
    for (const [name, parameter] of models.bf16.parameters()) {
      expect(parameter.grad?.norm().item(), name).toBeGreaterThan(0);
      parameter.clearGrad();
    }
  });

  // Where a CPU has no products of bfloat16, libtorch calls that operation for every channel; in float32 only for small images.
  run('is convolved as float32 is, on any CPU', () => {
    const calls = (model: WeTr) => {
      native.recordOpsStart(100_000, false);
      losses(model).total.backward();
      const { names, events } = native.recordOpsStop();
      const called = Array.from({ length: events.length / 5 }, (_, i) => names[events[5 * i]!]!);
      return called.filter((name) => /slow_conv|thnn_conv/.test(name)).length;
    };
    expect(calls(models.bf16)).toBeLessThanOrEqual(calls(models.none));
  });

  run('sees its weights change', () => {
    const once = (model: WeTr) => noGrad(() => numbers(model.forward(get('input'), { seg: true }).seg!));
    const model = network('bf16').eval();
    const before = once(model);
    noGrad(() => model.state().get('decoder.linear_pred.weight')!.mul_(2));
    expect(once(model)).not.toEqual(before);
    model.dispose();
  });
});

describe('outside of its passes', () => {
  run('products are float32, after a pass and after one that failed', () => {
    setupSeed(0);
    const [a, b] = [Tensor.randn([8, 8]), Tensor.randn([8, 8])];
    const before = numbers(a.matmul(b));
    models.bf16.forward(get('input'), { cls: true });
    expect(numbers(a.matmul(b))).toEqual(before);
    const failed = caught(() => models.bf16.forward(Tensor.zeros([1, 1, 64, 64])));
    expectTorchError(failed, { code: 'ERR_TORCH', op: 'wetrForward', message: 'Expected images of shape' });
    expect(a.matmul(b).dtype).toBe('float32');
    expect(numbers(a.matmul(b))).toEqual(before);
  });

  run('a float32 model is the same to the last bit', () => {
    const once = () => noGrad(() => numbers(models.none.forward(get('input'), { seg: true }).seg!));
    const before = once();
    models.bf16.forward(get('input'), { seg: true });
    expect(once()).toEqual(before);
  });

  it('an unknown precision is refused', () => {
    const amp = 'fp16' as Amp;
    expect(() => new WeTr({ backbone: 'mit_b0', numClasses: 2, amp })).toThrow(
      "Expected amp 'none' or 'bf16' but received 'fp16'",
    );
  });
});

describe('a training with bf16', () => {
  const SIDE = 64;
  /** Noise, and in every second image a bright disc somewhere: what is to be learnt. */
  function batchOf(seed: number, count = 8): Batch {
    const random = new Random([seed, 1, 2, 3]);
    const images = new Float32Array(count * 3 * SIDE * SIDE);
    const labels = new Float32Array(count);
    for (let b = 0; b < count; b++) {
      labels[b] = b % 2;
      const [cy, cx] = [16 + random.below(32), 16 + random.below(32)];
      for (let p = 0; p < SIDE * SIDE; p++) {
        const inside = Math.hypot(Math.floor(p / SIDE) - cy, (p % SIDE) - cx) < 9;
        const value = random.uniform(-0.5, 0.5) + (labels[b] && inside ? 1.5 : 0);
        for (let c = 0; c < 3; c++) images[(b * 3 + c) * SIDE * SIDE + p] = value;
      }
    }
    const boxes = Int32Array.from({ length: count * 4 }, (_, i) => (i % 2 ? SIDE : 0));
    const pixels: Batch['pixels'] = { kind: 'floats', data: images };
    return { names: [...labels.keys()].map(String), pixels, height: SIDE, width: SIDE, labels, boxes };
  }
  const OPTIONS: StepOptions = { ...STEP_OPTIONS, par: { numIter: 2, dilations: [1, 2] } };

  /** Forty steps through all phases; the scores of images that were not seen, and the losses' course. */
  function trajectory(amp: Amp) {
    setupSeed(2);
    using model = new WeTr({ backbone: 'mit_b0', numClasses: 2, amp }).train();
    const optimizer = new PolyWarmupAdamW(
      [{ parameters: [...model.parameters().values()], lr: 5e-4, weightDecay: 0.01 }],
      { betas: [0.9, 0.999], warmupIter: 5, maxIter: 60, warmupRatio: 0.1, power: 1 },
    );
    const phaseOf = (step: number) => (step < 30 ? 'cls' : step < 35 ? 'cam' : 'affinity');
    const steps = Array.from({ length: 40 }, (_, i) =>
      trainStep(model, optimizer, batchOf(i), phaseOf(i), OPTIONS),
    );
    const unseen = batchOf(1000, 16);
    model.eval();
    const scores = scope(() => noGrad(() => numbers(model.forward(batchImages(unseen), { cls: true }).cls!)));
    optimizer.dispose();
    const mean = (from: number) => steps.slice(from, from + 10).reduce((sum, s) => sum + s.clsLoss, 0) / 10;
    return { auroc: auroc(scores, [...unseen.labels])!, first: mean(0), last: mean(30), steps };
  }

  it('learns what float32 learns', () => {
    const [whole, half] = [trajectory('none'), trajectory('bf16')];
    for (const { auroc, first, last, steps } of [whole, half]) {
      expect(auroc).toBeGreaterThan(0.95);
      expect(last).toBeLessThan(first / 2);
      expect(steps.every(({ nonFinite }) => nonFinite === undefined)).toBe(true);
    }
    expect(Math.abs(half.first / whole.first - 1)).toBeLessThan(0.1);
  }, 120_000);
});
