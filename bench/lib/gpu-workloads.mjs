// What the GPU's benchmark runs: the GPU's own limits, training steps, CAM passes and PAR.
import { multiScaleCam } from '../../dist/cam/multi-scale.js';
import { pixelAdaptiveRefine } from '../../dist/cam/refine.js';
import { WeTr } from '../../dist/models/wetr.js';
import { native, TorchError } from '../../dist/native/index.js';
import { PolyWarmupAdamW } from '../../dist/optim/poly-warmup-adamw.js';
import { recordDevice } from '../../dist/profile/index.js';
import { noGrad, scope, setupSeed, Tensor } from '../../dist/tensor/index.js';
import { queueStep } from '../../dist/training/step.js';
import { stepGraphs } from '../../dist/training/step-graphs.js';
import { kernelShares } from './kernels.mjs';
import { median, say } from './measuring.mjs';
import { randomBatch, STEP } from './step-workload.mjs';

export const DEVICE = 'cuda';
const GIB = 2 ** 30;
/** Arithmetic of the affinity phase for an image of 224 x 224, multiply-adds counted twice; larger crops by area. */
const GFLOP_AT_224 = 66;
/** As many steps as warm caches and capture graphs, and as many as are recorded kernel by kernel. */
const WARMUP = 6;
const RECORDED = 3;

/** Waits for all that is queued. */
const settle = () => scope(() => Tensor.zeros([1], 'float32', DEVICE).item());

/** Median seconds of `body`, the GPU included. */
function timed(body, count) {
  for (let i = 0; i < WARMUP; i++) scope(body);
  return median(
    Array.from({ length: count }, () => {
      settle();
      const start = performance.now();
      scope(body);
      settle();
      return (performance.now() - start) / 1000;
    }),
  );
}

/** A GPU too small for a workload is a result as well: the next one may fit. */
function unlessTooLarge(settings, body) {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof TorchError) || error.code !== 'ERR_OUT_OF_MEMORY') throw error;
    native.emptyCache();
    return { ...settings, fault: 'out of memory' };
  }
}

/** The GPU's own: a large product of bfloat16 numbers, and a copy. */
export function limits(runs) {
  return scope(() => {
    const side = 8192;
    const [a, b] = [0, 1].map(() => Tensor.randn([side, side]).to({ dtype: 'bfloat16', device: DEVICE }));
    const product = timed(() => a.matmul(b), runs);
    const large = Tensor.zeros([GIB / 4], 'float32', DEVICE);
    const copy = timed(() => large.clone(), runs);
    return { bf16Tflops: (2 * side ** 3) / product / 1e12, copyGbPerSecond: (2 * GIB) / copy / 1e9 };
  });
}

/** Steps as the training loop runs them: the next is queued before the one before is read; warmed up. */
function withSteps({ phase, crop, batch }, body) {
  setupSeed(1);
  const model = new WeTr({ backbone: 'mit_b1', numClasses: 2, amp: 'bf16' }).to(DEVICE).train();
  const { backbone, backboneNorm, classifier, decoder } = model.parameterGroups();
  for (const parameter of backboneNorm) parameter.requiresGrad = false;
  const parameters = [...backbone, ...classifier, ...decoder];
  const optimizer = new PolyWarmupAdamW([{ parameters, lr: 6e-5, weightDecay: 0.01 }], {
    betas: [0.9, 0.999],
    warmupIter: 1500,
    maxIter: 10000,
    warmupRatio: 1e-6,
    power: 1,
  });
  const input = randomBatch(batch, crop);
  const graphs = stepGraphs(model, optimizer, DEVICE, say);
  const options = { ...STEP, device: DEVICE, graphs };
  /** @returns milliseconds that the host was busy with queueing `count` steps */
  const run = (count) => {
    let queued;
    let host = 0;
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      const next = queueStep(model, optimizer, input, phase, options);
      host += performance.now() - start;
      queued?.take();
      queued = next;
    }
    queued.take();
    return host;
  };
  try {
    run(WARMUP);
    return body(run);
  } finally {
    graphs.dispose();
    optimizer.dispose();
    model.dispose();
  }
}

export const training = (settings, { bf16Tflops }, runs) =>
  unlessTooLarge(settings, () =>
    withSteps(settings, (run) => {
      const { phase, crop, batch } = settings;
      native.gpuMemory(true);
      const start = performance.now();
      const host = run(runs);
      const milliseconds = performance.now() - start;
      const { allocatedPeak, reservedPeak } = native.gpuMemory(false);
      const seconds = milliseconds / 1000 / runs;
      const imagesPerSecond = batch / seconds;
      const tflops = (imagesPerSecond * GFLOP_AT_224 * (crop / 224) ** 2) / 1000;
      return {
        ...settings,
        seconds,
        imagesPerSecond,
        shareOfMatrixRate: phase === 'affinity' ? tflops / bf16Tflops : null,
        hostShare: host / milliseconds,
        // Held of the GPU: what graphs compute in counts as allocated while they are recorded only.
        peakGib: reservedPeak / GIB,
        allocatedGib: allocatedPeak / GIB,
      };
    }),
  );

/** Where the GPU's time goes in some steps of a training that was timed before. */
export const kernelsOf = ({ phase, crop, batch, seconds, fault }) =>
  fault
    ? { fault }
    : unlessTooLarge({}, () =>
        withSteps({ phase, crop, batch }, (run) =>
          kernelShares(
            recordDevice(DEVICE, () => void run(RECORDED)),
            RECORDED,
            seconds,
          ),
        ),
      );

/** Multi-scale maps of a batch, as export computes them. */
export const maps = (batch, runs) =>
  scope(() => {
    const model = new WeTr({ backbone: 'mit_b1', numClasses: 2, amp: 'bf16' }).to(DEVICE).eval();
    const images = Tensor.randn([batch, 3, 224, 224]).to({ device: DEVICE });
    const seconds = timed(() => multiScaleCam(model, images, { scales: STEP.scales }), runs);
    model.dispose();
    return { batch, crop: 224, seconds, imagesPerSecond: batch / seconds };
  });

/** Bytes that must move: for each pixel and round the weights once, and each mask in and out. */
export function par({ copyGbPerSecond }, runs, images = 128, side = 112, channels = 4) {
  return scope(() => {
    const [image, masks] = [3, channels].map((c) =>
      Tensor.rand([images, c, side, side]).to({ device: DEVICE }),
    );
    const seconds = timed(() => noGrad(() => pixelAdaptiveRefine(image, masks, STEP.par)), runs);
    const neighbours = 8 * STEP.par.dilations.length;
    const floats = 3 + neighbours + STEP.par.numIter * (neighbours + 2 * channels);
    const gbPerSecond = (images * side ** 2 * floats * 4) / seconds / 1e9;
    return { images, side, channels, seconds, gbPerSecond, shareOfBandwidth: gbPerSecond / copyGbPerSecond };
  });
}
