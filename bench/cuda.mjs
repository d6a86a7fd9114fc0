// npm run bench -- --cuda: training, maps and PAR on a GPU, beside what the GPU itself can do, what is wanted of it, and
// where its time goes, kernel by kernel.
import { WeTr } from '../dist/models/wetr.js';
import { native } from '../dist/native/index.js';
import { whyUnavailable } from '../dist/tensor/index.js';
import { gpuReport } from './lib/gpu-report.mjs';
import { cautions, judge, readOriginal } from './lib/gpu-targets.mjs';
import { DEVICE, kernelsOf, limits, maps, par, training } from './lib/gpu-workloads.mjs';
import { mapExport } from './lib/map-export.mjs';
import { machineFacts, print, say } from './lib/measuring.mjs';
import { atLeast, RUNS, readOptions, refuse } from './lib/options.mjs';

const HELP = `Usage: npm run bench -- --cuda [--runs N] [--top N] [--original FILE.json] [--json]

mit_b1 with bfloat16 products: images/s of training, share of the GPU's own bf16 matrix rate, the host's share of a step,
peak memory; maps computed and maps exported; the bytes that PAR moves against the GPU's copy bandwidth; where the GPU's
time goes, by kind of work and by kernel; and which targets are met.
--runs: steps a figure (20). --top: kernels shown of each training (8). --original: the original's figures on the same
GPU, for ratios; docs/cuda.md describes the file and how to obtain them.`;

/** What is trained: the targets' settings, and the two earlier phases for comparison. */
const TRAININGS = [
  { phase: 'cls', crop: 224, batch: 8 },
  { phase: 'cam', crop: 224, batch: 8 },
  { phase: 'affinity', crop: 224, batch: 8 },
  { phase: 'affinity', crop: 512, batch: 8 },
  { phase: 'affinity', crop: 224, batch: 128 },
];
/** Batches that warm the export up, graphs included, and those that count. */
const EXPORT = { side: 224, warmup: 6, batches: 20 };

const { runs, json, top, original } = readOptions('cuda', HELP, {
  runs: RUNS('20'),
  top: { value: '8', read: atLeast(1) },
  original: { value: undefined, read: readOriginal },
});
const reason = whyUnavailable(DEVICE);
if (reason) refuse(`Expected a GPU for this benchmark but ${reason}`, HELP);

/** Maps from file to file, as gen-attn makes them, in bfloat16. */
async function exporting(batch) {
  const { side, warmup, batches } = EXPORT;
  const model = new WeTr({ backbone: 'mit_b1', numClasses: 2, amp: 'bf16' }).to(DEVICE).eval();
  const work = mapExport({ model, device: DEVICE, side, images: batch * (warmup + batches), batch });
  try {
    const seconds = await work.run(warmup);
    return { crop: side, batch, seconds, imagesPerSecond: 1 / seconds };
  } finally {
    work.remove();
    model.dispose();
  }
}

const gpu = native.cudaStatus()?.devices[0]?.name ?? 'a GPU of unknown name';
say(`${gpu}: what it can do ...`);
const own = limits(runs);
const trainings = TRAININGS.map((settings) => {
  say(`training, ${settings.phase}, crop ${settings.crop}, batch ${settings.batch} ...`);
  return training(settings, own, runs);
});
say('maps, PAR ...');
const computed = [1, 8].map((batch) => maps(batch, runs));
const roofline = par(own, runs);
const exported = [];
for (const batch of [1, 8]) {
  say(`map export, batch ${batch} ...`);
  exported.push(await exporting(batch));
}
// Last: once CUPTI has been in a process, launches may stay slower in it.
const gpuTimes = trainings.map((one) => {
  say(`kernels of ${one.phase}, crop ${one.crop}, batch ${one.batch} ...`);
  return kernelsOf(one);
});

const result = {
  machine: machineFacts(),
  gpu,
  runs,
  limits: own,
  trainings: trainings.map((one, i) => ({ ...one, gpuTime: gpuTimes[i] })),
  maps: computed,
  exported,
  par: roofline,
  ...(original && { original }),
  targets: judge({ trainings, exported }, original),
  cautions: cautions(gpu, original),
};
print(result, json, () => gpuReport(result, top));
