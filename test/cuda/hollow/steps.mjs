// Steps of each phase on the hollow GPU, in a process of its own: what the host asks of the GPU for one, as JSON.
//   node steps.mjs CROP BATCH [graphs]
import { readFileSync } from 'node:fs';
import { randomBatch, STEP } from '../../../bench/lib/step-workload.mjs';
import { WeTr } from '../../../dist/models/wetr.js';
import { native } from '../../../dist/native/index.js';
import { PolyWarmupAdamW } from '../../../dist/optim/poly-warmup-adamw.js';
import { setupSeed } from '../../../dist/tensor/index.js';
import { queueStep } from '../../../dist/training/step.js';
import { stepGraphs } from '../../../dist/training/step-graphs.js';

/** In the order of hollow.h. */
const COUNTERS = [
  'kernels',
  'ownKernels',
  'graphLaunches',
  'waits',
  'copies',
  'copiedBytes',
  'captures',
  'faults',
];
const STEPS = 20;

function counters() {
  const bytes = readFileSync(process.env.HOLLOW_COUNTERS);
  return COUNTERS.map((_, i) => Number(bytes.readBigInt64LE(8 * i)));
}

function phase(name, crop, count, withGraphs) {
  setupSeed(1);
  const options = { backbone: 'mit_b0', numClasses: 2, amp: 'bf16', cudaGraphs: withGraphs };
  const model = new WeTr(options).to('cuda').train();
  // As src/training/setup.ts: the encoder's norms are frozen.
  const { backbone, backboneNorm, classifier, decoder } = model.parameterGroups();
  for (const parameter of backboneNorm) parameter.requiresGrad = false;
  const parameters = [...backbone, ...classifier, ...decoder];
  const optimizer = new PolyWarmupAdamW([{ parameters, lr: 1e-4, weightDecay: 0.01 }], {
    ...{ betas: [0.9, 0.999], warmupIter: 0, maxIter: 100, warmupRatio: 1, power: 1 },
  });
  const warnings = [];
  const graphs = withGraphs ? stepGraphs(model, optimizer, 'cuda', (text) => warnings.push(text)) : undefined;
  const batch = randomBatch(count, crop);
  const run = (steps) => {
    let queued;
    for (let i = 0; i < steps; i++) {
      const next = queueStep(model, optimizer, batch, name, { ...STEP, device: 'cuda', graphs });
      queued?.take();
      queued = next;
    }
    queued.take();
  };
  run(8); // caches, and graphs
  native.gpuMemory(true);
  const before = counters();
  run(STEPS);
  const asked = counters().map((count, i) => (count - before[i]) / STEPS);
  for (const made of [graphs, optimizer, model]) made?.dispose();
  const { reservedPeak } = native.gpuMemory(false);
  return { ...Object.fromEntries(COUNTERS.map((name, i) => [name, asked[i]])), reservedPeak, warnings };
}

const [crop, count, graphs] = process.argv.slice(2);
const phases = ['cls', 'cam', 'affinity'].map((name) => [
  name,
  phase(name, +crop, +count, graphs !== undefined),
]);
console.log(JSON.stringify(Object.fromEntries(phases)));
