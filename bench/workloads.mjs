// What is measured: the product's own functions on random images, through its compiled modules.

import { exportAttentionMaps } from '../dist/export/attention-maps.js';
import { WeTr } from '../dist/models/wetr.js';
import { PolyWarmupAdamW } from '../dist/optim/poly-warmup-adamw.js';
import { buildInfo, getNumThreads, scope, setNumThreads, setupSeed, Tensor } from '../dist/tensor/index.js';
import { trainStep } from '../dist/training/step.js';
import { validate } from '../dist/training/validate.js';
import { randomBatch, STEP } from './lib/step-workload.mjs';

const CROP = 320;
const BATCH = 4;

/** Arithmetic of one affinity-phase iteration and of one exported map, multiply-adds counted twice. */
export const AFFINITY_GFLOP = 571;
export const MAP_GFLOP = 94;

export const libtorchVersion = () => buildInfo().torchVersion;

export function useThreads(threads) {
  if (threads) setNumThreads(threads);
  return getNumThreads();
}

/** Best of five float32 products of 2048 x 2048. */
export function matmulGflops() {
  return scope(() => {
    const a = Tensor.randn([2048, 2048]);
    const b = Tensor.randn([2048, 2048]);
    const once = () => {
      const start = performance.now();
      scope(() => a.matmul(b).dispose());
      return (2 * 2048 ** 3) / (performance.now() - start) / 1e6;
    };
    once();
    return Math.max(...Array.from({ length: 5 }, once));
  });
}

const MODEL = { backbone: 'mit_b1', numClasses: 2 };

/** @param {number} [batchSize] images in one step of this process */
export function training(batchSize = BATCH) {
  setupSeed(1);
  const model = new WeTr(MODEL).train();
  const groups = model.parameterGroups();
  for (const parameter of groups.backboneNorm) parameter.requiresGrad = false;
  const optimizer = new PolyWarmupAdamW(
    [
      { parameters: groups.backbone, lr: 6e-5, weightDecay: 0.01 },
      { parameters: groups.backboneNorm, lr: 0, weightDecay: 0 },
      { parameters: groups.classifier, lr: 6e-4, weightDecay: 0.01 },
      { parameters: groups.decoder, lr: 6e-4, weightDecay: 0.01 },
    ],
    { betas: [0.9, 0.999], warmupIter: 1500, maxIter: 10000, warmupRatio: 1e-6, power: 1 },
  );
  const batch = randomBatch(batchSize, CROP);
  return {
    model,
    step: (phase, ddp) => trainStep(model, optimizer, batch, phase, { ...STEP, ddp }),
    dispose() {
      optimizer.dispose();
      model.dispose();
    },
  };
}

/** A loader that gives one image and ends. */
function oneImage() {
  let batches = [randomBatch(1, CROP)];
  const again = batches[0];
  return {
    dataset: { names: again.names, labels: [new Uint8Array([1])], numClasses: 2, hasMasks: false },
    length: 1,
    next: async () => batches.pop(),
    close: async () => {},
    skipped: 0,
    position: () => ({ epoch: 0, cursor: 0 }),
    rewind() {
      batches = [again];
    },
  };
}

export function inference(folder) {
  setupSeed(1);
  const model = new WeTr(MODEL).eval();
  const loader = oneImage();
  const run = async (work) => {
    loader.rewind();
    await work();
  };
  return {
    exportMap: () =>
      run(() =>
        exportAttentionMaps(model, loader, {
          device: 'cpu',
          scales: STEP.scales,
          outputDir: folder,
          camNpyDir: folder,
        }),
      ),
    validateImage: () =>
      run(() => validate(model, loader, { device: 'cpu', scales: STEP.scales, cam: false, bkgScore: 0.45 })),
  };
}
