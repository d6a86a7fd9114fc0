// npm run bench -- --cuda: training, CAM passes and PAR on a GPU, beside what the GPU itself can do.
import { execFileSync } from 'node:child_process';
import { multiScaleCam } from '../dist/cam/multi-scale.js';
import { pixelAdaptiveRefine } from '../dist/cam/refine.js';
import { formatTable } from '../dist/export/table.js';
import { WeTr } from '../dist/models/wetr.js';
import { native } from '../dist/native/index.js';
import { PolyWarmupAdamW } from '../dist/optim/poly-warmup-adamw.js';
import { noGrad, scope, setupSeed, Tensor, whyUnavailable } from '../dist/tensor/index.js';
import { queueStep } from '../dist/training/step.js';
import { machineFacts, median, print, say } from './lib/measuring.mjs';
import { RUNS, readOptions, refuse } from './lib/options.mjs';

const HELP = `Usage: npm run bench -- --cuda [--runs N] [--json]

mit_b1 with bfloat16 products: images/s of training, share of the GPU's own bf16 matrix rate, the host's share of a step,
peak memory; CAM passes; and the bytes that PAR moves against the GPU's copy bandwidth. --runs: steps a figure (20).`;

const DEVICE = 'cuda';
const GIB = 2 ** 30;
/** Arithmetic of the affinity phase for an image of 224 x 224, multiply-adds counted twice; larger crops by area. */
const GFLOP_AT_224 = 66;
const PAR = { numIter: 10, dilations: [1, 2, 4, 8, 12, 24] };

/** What is trained: the targets' settings, and the two earlier phases for comparison. */
const TRAININGS = [
  { phase: 'cls', crop: 224, batch: 8 },
  { phase: 'cam', crop: 224, batch: 8 },
  { phase: 'affinity', crop: 224, batch: 8 },
  { phase: 'affinity', crop: 512, batch: 8 },
  { phase: 'affinity', crop: 224, batch: 128 },
];

const { runs, json } = readOptions('cuda', HELP, { runs: RUNS('20') });
const reason = whyUnavailable(DEVICE);
if (reason) refuse(`Expected a GPU for this benchmark but ${reason}`, HELP);

/** Waits for all that is queued. */
const settle = () => scope(() => Tensor.zeros([1], 'float32', DEVICE).item());

/** Median seconds of `body`, the GPU included, after as many runs as warm caches and capture graphs. */
function timed(body, count = runs) {
  for (let i = 0; i < 6; i++) scope(body);
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

/** The GPU's own: a large product of bfloat16 numbers, and a copy. */
function limits() {
  return scope(() => {
    const side = 8192;
    const [a, b] = [0, 1].map(() => Tensor.randn([side, side]).to({ dtype: 'bfloat16', device: DEVICE }));
    const product = timed(() => a.matmul(b));
    const large = Tensor.zeros([GIB / 4], 'float32', DEVICE);
    const copy = timed(() => large.clone());
    return { bf16Tflops: (2 * side ** 3) / product / 1e12, copyGbPerSecond: (2 * GIB) / copy / 1e9 };
  });
}

function randomBatch(count, crop) {
  const data = scope(() => Tensor.rand([count, crop, crop]).mul(256).to({ dtype: 'uint8' }).data());
  return {
    names: Array.from({ length: count }, (_, i) => `slice_${i}`),
    pixels: { kind: 'bytes', data, channels: 1, mirrored: new Uint8Array(count) },
    height: crop,
    width: crop,
    labels: new Float32Array(count).fill(1),
    boxes: Int32Array.from({ length: count * 4 }, (_, i) => (i % 2 ? crop : 0)),
  };
}

const OPTIONS = {
  scales: [1, 0.5, 1.5],
  thresholds: { bkgScore: 0.45, highThre: 0.55, lowThre: 0.35, ignoreIndex: 255 },
  par: PAR,
  radius: 8,
  affinitySource: 'refined_aff_label',
  camMode: 'eval',
  segDetach: false,
  weights: { cls: 1, seg: 0.1, aff: 0.1 },
  device: DEVICE,
  stride: 16,
};

/** As the training loop runs: the next step is queued before the one before is read. */
function training({ phase, crop, batch }, { bf16Tflops }) {
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
  let queued;
  let host = 0;
  const step = () => {
    const start = performance.now();
    const next = queueStep(model, optimizer, input, phase, OPTIONS);
    host += (performance.now() - start) / 1000;
    queued?.take();
    queued = next;
  };
  for (let i = 0; i < 6; i++) step();
  queued.take();
  queued = undefined;
  native.gpuMemory(true);
  host = 0;
  const start = performance.now();
  for (let i = 0; i < runs; i++) step();
  queued.take();
  const seconds = (performance.now() - start) / 1000 / runs;
  const { allocatedPeak, reservedPeak } = native.gpuMemory(false);
  optimizer.dispose();
  model.dispose();
  const imagesPerSecond = batch / seconds;
  const tflops = (imagesPerSecond * GFLOP_AT_224 * (crop / 224) ** 2) / 1000;
  return {
    phase,
    crop,
    batch,
    seconds,
    imagesPerSecond,
    shareOfMatrixRate: phase === 'affinity' ? tflops / bf16Tflops : null,
    hostShare: host / runs / seconds,
    peakGib: allocatedPeak / GIB,
    reservedGib: reservedPeak / GIB,
  };
}

/** Multi-scale maps of a batch, as export makes them. */
function maps(batch) {
  return scope(() => {
    const model = new WeTr({ backbone: 'mit_b1', numClasses: 2, amp: 'bf16' }).to(DEVICE).eval();
    const images = Tensor.randn([batch, 3, 224, 224]).to({ device: DEVICE });
    const seconds = timed(() => multiScaleCam(model, images, { scales: OPTIONS.scales }));
    model.dispose();
    return { batch, crop: 224, seconds, imagesPerSecond: batch / seconds };
  });
}

/** Bytes that must move: for each pixel and round the weights once, and each mask in and out. */
function par({ copyGbPerSecond }, images = 128, side = 112, channels = 4) {
  return scope(() => {
    const [image, masks] = [3, channels].map((c) =>
      Tensor.rand([images, c, side, side]).to({ device: DEVICE }),
    );
    const seconds = timed(() => noGrad(() => pixelAdaptiveRefine(image, masks, PAR)));
    const neighbours = 8 * PAR.dilations.length;
    const floats = 3 + neighbours + PAR.numIter * (neighbours + 2 * channels);
    const gbPerSecond = (images * side ** 2 * floats * 4) / seconds / 1e9;
    return { images, side, channels, seconds, gbPerSecond, shareOfBandwidth: gbPerSecond / copyGbPerSecond };
  });
}

const gpu = execFileSync('nvidia-smi', ['--query-gpu=name,driver_version', '--format=csv,noheader'], {
  encoding: 'utf8',
}).split('\n')[0];
say(`${gpu}: what it can do ...`);
const own = limits();
const trainings = TRAININGS.map((settings) => {
  say(`training, ${settings.phase}, crop ${settings.crop}, batch ${settings.batch} ...`);
  return training(settings, own);
});
const result = {
  machine: machineFacts(),
  gpu,
  runs,
  limits: own,
  trainings,
  maps: [1, 8].map(maps),
  par: par(own),
};

const percent = (share) => (share === null ? '-' : `${(100 * share).toFixed(1)} %`);
print(result, json, () =>
  [
    `${gpu}: ${own.bf16Tflops.toFixed(0)} TFLOP/s of bf16 products, ${own.copyGbPerSecond.toFixed(0)} GB/s of copies`,
    formatTable(
      trainings.map((t) => [
        `${t.phase}, crop ${t.crop}, batch ${t.batch}`,
        t.imagesPerSecond.toFixed(0),
        t.seconds.toFixed(4),
        percent(t.shareOfMatrixRate),
        percent(t.hostShare),
        t.peakGib.toFixed(2),
      ]),
      { header: ['training', 'images/s', 's a step', 'of bf16 rate', 'host', 'peak GiB'] },
    ),
    ...result.maps.map((m) => `maps at 3 scales, batch ${m.batch}: ${m.imagesPerSecond.toFixed(0)} images/s`),
    `PAR: ${(1000 * result.par.seconds).toFixed(2)} ms for ${result.par.images} images; ` +
      `${result.par.gbPerSecond.toFixed(0)} GB/s, ${percent(result.par.shareOfBandwidth)} of a copy's`,
  ].join('\n'),
);
