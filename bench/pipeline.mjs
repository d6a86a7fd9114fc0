// npm run bench -- pipeline: seconds of each phase of training, of export and of validation, with the machine's matrix
// rate from the same run. Sizes: crop 320, batch 4, mit_b1, float32, CPU, every image positive.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatTable } from '../dist/export/table.js';
import { machineFacts, print, processFacts, say, seconds, time } from './lib/measuring.mjs';
import { RUNS, readOptions, THREADS } from './lib/options.mjs';
import * as workloads from './workloads.mjs';

const HELP = `Usage: npm run bench -- pipeline [--json] [--threads N] [--runs N]

Seconds of each training phase, of export and of validation (crop 320, batch 4, mit_b1, float32, CPU; 5 runs).
Example: npm run -s bench -- pipeline --json --threads 2 > bench.json`;

const { json, runs, ...options } = readOptions('pipeline', HELP, { threads: THREADS(), runs: RUNS() });
const threads = workloads.useThreads(options.threads);
say(`Measuring with ${threads} threads, medians of ${runs} after a warm-up; this takes a minute or two`);
const matmulGflops = workloads.matmulGflops();

/** A measurement whose median goes by `name`. */
const as = (name, { median, ...rest }) => ({ [name]: median, ...rest });

const phases = {};
const training = workloads.training();
for (const phase of ['cls', 'cam', 'affinity']) {
  phases[phase] = as('secondsPerIteration', await time(() => training.step(phase), runs));
  say(`  ${phase}: ${phases[phase].secondsPerIteration.toFixed(3)} s`);
}
training.dispose();
const folder = mkdtempSync(join(tmpdir(), 'afa-bench-'));
const inference = workloads.inference(folder);
const maps = as('secondsPerImage', await time(() => inference.exportMap(), runs));
const validation = as('secondsPerImage', await time(() => inference.validateImage(), runs));
rmSync(folder, { recursive: true });

const result = {
  machine: { ...machineFacts(), libtorch: workloads.libtorchVersion() },
  threads,
  matmulGflops,
  phases,
  export: maps,
  validation,
  ...processFacts(),
};

print(result, json, () => {
  const text = (measured) =>
    seconds({
      median: measured.secondsPerIteration ?? measured.secondsPerImage,
      quartiles: measured.quartiles,
    });
  const share = (gflop, value) => `${Math.round((100 * gflop) / value / matmulGflops)} % of the matrix rate`;
  const rows = [
    ['iteration, classification only', text(phases.cls), ''],
    ['iteration, CAM labels', text(phases.cam), ''],
    [
      'iteration, affinity labels',
      text(phases.affinity),
      share(workloads.AFFINITY_GFLOP, phases.affinity.secondsPerIteration),
    ],
    ['attention map of one image, 3 scales', text(maps), share(workloads.MAP_GFLOP, maps.secondsPerImage)],
    ['validation of one image', text(validation), ''],
    ['matrix product 2048, float32', `${matmulGflops.toFixed(0)} GFLOP/s`, ''],
    [
      'peak memory of this process',
      `${result.peakRssMb} MB`,
      `load average ${result.loadAverage.toFixed(1)}`,
    ],
  ];
  return formatTable(rows, { header: ['', 'median (quartiles)', ''], align: ['left', 'right', 'left'] });
});
