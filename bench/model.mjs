// npm run bench -- model: seconds of the network by size, forward and backward, with the encoder's rate beside that of
// a large matrix product. Random images and weights, float32, CPU.
import { formatTable } from '../dist/export/table.js';
import { backboneNames, getBackbone } from '../dist/models/backbones.js';
import { WeTr } from '../dist/models/wetr.js';
import { noGrad, scope, setupSeed, Tensor } from '../dist/tensor/index.js';
import { encoderFlops, memoryGbps } from './lib/arithmetic.mjs';
import { machineFacts, print, processFacts, say, time } from './lib/measuring.mjs';
import { atLeast, listOf, RUNS, readOptions, THREADS } from './lib/options.mjs';
import * as workloads from './workloads.mjs';

const HELP = `Usage: npm run bench -- model [--json] [--backbones LIST] [--sizes LIST] [--batch N] [--threads N] [--runs N]

Seconds of a pass through encoder and heads, forward alone and with backward (defaults: mit_b0,mit_b1; sides 224,320,480;
2 images; 5 runs). Example: npm run -s bench -- model --backbones mit_b2 --sizes 512 --json`;

const options = readOptions('model', HELP, {
  backbones: { value: 'mit_b0,mit_b1', read: listOf(backboneNames()) },
  // Below 64 the deepest stage has no positions left for its keys.
  sizes: {
    value: '224,320,480',
    read: (text, name) => text.split(',').map((part) => atLeast(64)(part, name)),
  },
  batch: { value: '2', read: atLeast(1) },
  threads: THREADS(),
  runs: RUNS(),
});

const ALL = { cls: true, seg: true, affinity: true };

/** Passes by name; each leaves no tensor behind. */
function passes(model, images) {
  const parameters = [...model.parameters().values()];
  const learn = (wanted) => {
    scope(() => {
      const out = model.forward(images, wanted);
      const losses = Object.values(out).map((output) => output.square().mean());
      losses.reduce((a, b) => a.add(b)).backward();
    });
    for (const parameter of parameters) parameter.clearGrad();
  };
  const infer = (run) => () => noGrad(() => scope(run));
  return {
    encoder: infer(() => {
      model.forwardFeatures(images);
    }),
    heads: infer(() => {
      model.forward(images, ALL);
    }),
    classificationWithBackward: () => learn({ cls: true }),
    allWithBackward: () => learn(ALL),
  };
}

async function measure(backbone, side) {
  setupSeed(1);
  const model = new WeTr({ backbone, numClasses: 2 });
  const images = Tensor.randn([options.batch, 3, side, side]);
  const result = { backbone, side, encoderGflop: encoderFlops(getBackbone(backbone), side) / 1e9 };
  for (const [name, run] of Object.entries(passes(model, images))) {
    model.train(name.endsWith('Backward'));
    const { median, quartiles, pageFaults } = await time(run, options.runs);
    const a = (seconds) => seconds / options.batch;
    result[name] = { secondsPerImage: a(median), quartiles: quartiles.map(a), pageFaults };
  }
  result.encoderGflops = result.encoderGflop / result.encoder.secondsPerImage;
  model.dispose();
  images.dispose();
  say(
    `  ${backbone}, ${side} x ${side}: encoder ${(1000 * result.encoder.secondsPerImage).toFixed(0)} ms an image`,
  );
  return result;
}

const threads = workloads.useThreads(options.threads);
say(`Measuring with ${threads} threads, medians of ${options.runs} after a warm-up`);
const matmulGflops = workloads.matmulGflops();
const sizes = {};
for (const backbone of options.backbones)
  for (const side of options.sizes) sizes[`${backbone}_${side}`] = await measure(backbone, side);

const result = {
  machine: { ...machineFacts(), libtorch: workloads.libtorchVersion() },
  threads,
  batch: options.batch,
  runs: options.runs,
  matmulGflops,
  memoryGbps: memoryGbps(),
  sizes,
  ...processFacts(),
};

print(result, options.json, () => {
  const ms = ({ secondsPerImage }) => `${(1000 * secondsPerImage).toFixed(0)} ms`;
  const rows = Object.values(sizes).map((size) => [
    `${size.backbone}, ${size.side} x ${size.side}`,
    ms(size.encoder),
    `${Math.round((100 * size.encoderGflops) / matmulGflops)} %`,
    ms(size.heads),
    ms(size.classificationWithBackward),
    ms(size.allWithBackward),
  ]);
  const header = [
    'an image',
    'encoder',
    'of the matrix rate',
    'with heads',
    'classification, backward',
    'all, backward',
  ];
  const align = ['left', ...Array(5).fill('right')];
  return (
    `${formatTable(rows, { header, align })}\n\nbatches of ${options.batch}, ${threads} threads; matrix product ` +
    `${matmulGflops.toFixed(0)} GFLOP/s, memory ${result.memoryGbps.toFixed(0)} GB/s, load average ${result.loadAverage.toFixed(1)}`
  );
});
