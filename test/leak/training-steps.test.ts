/** A leak shows as a number: tensors that live after each step, and resident memory after thousands. */
import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Batch } from '../../src/loading/batch.js';
import { WeTr } from '../../src/models/wetr.js';
import { PolyWarmupAdamW } from '../../src/optim/poly-warmup-adamw.js';
import { memory, setupSeed } from '../../src/tensor/index.js';
import { phaseOf } from '../../src/training/schedule.js';
import { type StepOptions, trainStep } from '../../src/training/step.js';
import { childJson } from '../native/support.js';
import { STEP_OPTIONS } from '../step-options.js';

beforeAll(() => {
  if (!existsSync(new URL('../../dist/training/step.js', import.meta.url)))
    throw new Error('Run `npm run build:ts` before these tests.');
});

/**
 * A small network that uses what a training step uses: convolution, norm, both pixel losses, labels from maps,
 * refinement, backward, optimizer. The event loop turns between steps, as the training loop lets it.
 */
const STEPS = `
import { camToLabel, validCam } from 'DIST/cam/pseudo-labels.js';
import { affinityLabel } from 'DIST/cam/affinity.js';
import { pixelAdaptiveRefine } from 'DIST/cam/refine.js';
import { getAffLoss, getSegLoss } from 'DIST/losses/index.js';
import { PolyWarmupAdamW } from 'DIST/optim/poly-warmup-adamw.js';
import { keep, memory, noGrad, scope, setupSeed, Tensor } from 'DIST/tensor/index.js';

const STEPS = 2000;
setupSeed(0);
const [filters, weight, bias, classes] = scope(() => [[6, 3, 3, 3], [6], [6], [3, 6, 1, 1]].map((s) => {
  const values = Tensor.randn(s).mul(0.3);
  values.requiresGrad = true;
  return values;
}));
const parameters = [filters, weight, bias, classes];
const optimizer = new PolyWarmupAdamW([{ parameters, lr: 1e-3, weightDecay: 0.01 }],
  { betas: [0.9, 0.999], warmupIter: 10, maxIter: STEPS, warmupRatio: 0.1, power: 1 });
const thresholds = { bkgScore: 0.45, highThre: 0.55, lowThre: 0.35, ignoreIndex: 255 };
const boxes = Int32Array.of(0, 16, 0, 16, 2, 14, 0, 16);
const near = keep(Tensor.ones([16, 16], 'bool'));
const [images, labels] = [keep(Tensor.rand([2, 3, 16, 16])), keep(Tensor.from([1, 0, 1, 1], [2, 2]))];

function step() {
  return scope(() => {
    const features = images.conv2d(filters, { padding: 1 }).permute(0, 2, 3, 1).layerNorm(weight, bias).relu();
    const logits = features.permute(0, 3, 1, 2).conv2d(classes);
    const label = noGrad(() => {
      const maps = pixelAdaptiveRefine(images, logits.narrow(1, 1, 2).sigmoid(), { dilations: [1, 2], numIter: 2 });
      return camToLabel(validCam(maps, labels), boxes, thresholds);
    });
    const tokens = logits.interpolate([4, 4]).reshape(2, 3, 16);
    const affinity = tokens.transpose(1, 2).matmul(tokens).sigmoid();
    const loss = getSegLoss(logits, label).loss.add(getAffLoss(affinity, affinityLabel(label, [4, 4], near, 255)).loss);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss.item();
  });
}

const live = new Set();
const rss = [];
let losses = 0;
for (let k = 1; k <= STEPS; k++) {
  losses += step();
  if (k > 1) live.add(memory().liveTensors);
  await new Promise((resume) => setImmediate(resume));
  if (k % 100 === 0) rss.push(process.memoryUsage().rss / 2 ** 20);
}
console.log(JSON.stringify({ live: [...live], rss, finite: Number.isFinite(losses) }));
`;

describe('2,000 training-like steps on small tensors', () => {
  it('leave live tensors and resident memory flat', async () => {
    const { live, rss, finite } = await childJson<{ live: number[]; rss: number[]; finite: boolean }>(STEPS, {
      timeout: 110_000,
    });
    expect(finite).toBe(true);
    expect(live, 'one count after every step').toHaveLength(1);
    // Caches and V8's heap settle in the first quarter. A forgotten 16 x 16 map a step would be 1,500 of 1 KB and
    // more of handles; noise between samples is a few MB.
    const settled = Math.max(...rss.slice(0, 5));
    expect(Math.max(...rss.slice(5)) - settled, rss.map(Math.round).join(' ')).toBeLessThan(12);
  });
});

describe('the real step', () => {
  it('leaves no tensor behind in any of the three phases', () => {
    setupSeed(0);
    using model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
    const groups = model.parameterGroups();
    const optimizer = new PolyWarmupAdamW(
      [
        {
          parameters: [...groups.backbone, ...groups.classifier, ...groups.decoder],
          lr: 1e-4,
          weightDecay: 0.01,
        },
      ],
      { betas: [0.9, 0.999], warmupIter: 2, maxIter: 20, warmupRatio: 0.1, power: 1 },
    );
    const options: StepOptions = {
      ...STEP_OPTIONS,
      scales: [1, 0.5],
      par: { numIter: 2, dilations: [1, 2] },
    };
    const batch: Batch = {
      names: ['a', 'b'],
      pixels: { kind: 'floats', data: Float32Array.from({ length: 2 * 3 * 64 * 64 }, (_, i) => Math.sin(i)) },
      height: 64,
      width: 64,
      labels: Float32Array.of(1, 0),
      boxes: Int32Array.of(0, 64, 0, 64, 0, 60, 4, 64),
    };
    for (const phase of ['cls', 'cam', 'affinity'] as const) {
      expect(phaseOf({ cls: 0, cam: 3, affinity: 6 }[phase], 2, 5)).toBe(phase);
      const counts = Array.from({ length: 4 }, () => {
        const result = trainStep(model, optimizer, batch, phase, options, true);
        expect(result).toMatchObject({ phase, nonFinite: undefined });
        return memory().liveTensors;
      });
      // The first step of a phase fills caches (statistics, radius masks).
      expect(new Set(counts.slice(1)).size, `${phase}: ${counts}`).toBe(1);
    }
    optimizer.dispose();
  });
});
