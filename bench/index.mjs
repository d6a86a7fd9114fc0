// npm run bench [-- --json]: seconds of each phase of training, of export and of validation, with the machine's
// matrix rate from the same run. Sizes: crop 320, batch 4, mit_b1, float32, CPU, every image positive.
import { mkdtempSync, rmSync } from 'node:fs';
import { arch, cpus, platform, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../dist/export/table.js';
import * as workloads from './workloads.mjs';

// Other subjects have a file each, with options of their own.
const SUBJECTS = ['overhead', 'metrics', 'crf', 'loader', 'distributed'];
if (SUBJECTS.includes(process.argv[2])) {
  await import(`./${process.argv[2]}.mjs`);
  process.exit();
}

const HELP = `Usage: npm run bench -- [--json] [--threads N] [--runs N]
       npm run bench -- ${SUBJECTS.join('|')} --help

Seconds of each training phase, of export and of validation (crop 320, batch 4, mit_b1, float32, CPU).
Example: npm run -s bench -- --json --threads 2 > bench.json`;

function readOptions() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        threads: { type: 'string' },
        runs: { type: 'string', default: '5' },
      },
    }).values;
  } catch (error) {
    process.stderr.write(`Error: ${error.message}\n${HELP}\n`);
    process.exit(2);
  }
}

const options = readOptions();
if (options.help) {
  process.stdout.write(`${HELP}\n`);
  process.exit(0);
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Median seconds over the counted runs, after one that warms caches and allocator. */
async function time(run, runs) {
  await run();
  const seconds = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run();
    seconds.push((performance.now() - start) / 1000);
  }
  return median(seconds);
}

const runs = Number(options.runs);
const threads = workloads.useThreads(options.threads === undefined ? undefined : Number(options.threads));
const say = (text) => process.stderr.write(`${text}\n`);

say(`Measuring with ${threads} threads, medians of ${runs} after a warm-up; this takes a minute or two`);
const matmulGflops = workloads.matmulGflops();
const phases = {};
const training = workloads.training();
for (const phase of ['cls', 'cam', 'affinity']) {
  phases[phase] = { secondsPerIteration: await time(() => training.step(phase), runs) };
  say(`  ${phase}: ${phases[phase].secondsPerIteration.toFixed(3)} s`);
}
training.dispose();
const folder = mkdtempSync(join(tmpdir(), 'afa-bench-'));
const inference = workloads.inference(folder);
const secondsPerMap = await time(() => inference.exportMap(), runs);
const secondsPerValidation = await time(() => inference.validateImage(), runs);
rmSync(folder, { recursive: true });

const result = {
  machine: {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    libtorch: workloads.libtorchVersion(),
  },
  threads,
  matmulGflops,
  phases,
  export: { secondsPerImage: secondsPerMap },
  validation: { secondsPerImage: secondsPerValidation },
  peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
};

if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
else {
  const seconds = (value) => `${value.toFixed(3)} s`;
  const share = (gflop, value) => `${Math.round((100 * gflop) / value / matmulGflops)} % of the matrix rate`;
  const rows = [
    ['iteration, classification only', seconds(phases.cls.secondsPerIteration), ''],
    ['iteration, CAM labels', seconds(phases.cam.secondsPerIteration), ''],
    [
      'iteration, affinity labels',
      seconds(phases.affinity.secondsPerIteration),
      share(workloads.AFFINITY_GFLOP, phases.affinity.secondsPerIteration),
    ],
    [
      'attention map of one image, 3 scales',
      seconds(secondsPerMap),
      share(workloads.MAP_GFLOP, secondsPerMap),
    ],
    ['validation of one image', seconds(secondsPerValidation), ''],
    ['matrix product 2048, float32', `${matmulGflops.toFixed(0)} GFLOP/s`, ''],
    ['peak memory of this process', `${result.peakRssMb} MB`, ''],
  ];
  process.stdout.write(`${formatTable(rows, { align: ['left', 'right', 'left'] })}\n`);
}
