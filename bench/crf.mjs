// npm run bench -- crf [--json] [--threads N] [--runs N] [--size HxW] [--classes N]: seconds of the fully-connected
// CRF with the original's parameters. How long it takes depends on how many lattice vertices the colours occupy: a
// flat picture has the fewest, noise the most, and a photograph lies between them.
import { parseArgs } from 'node:util';
import { CRF_DEFAULTS, denseCrf } from '../dist/cam/dense-crf.js';
import { formatTable } from '../dist/export/table.js';
import { getNumThreads, scope, setNumThreads, setupSeed, Tensor } from '../dist/tensor/index.js';

const HELP = `Usage: npm run bench -- crf [--json] [--threads N] [--runs N] [--size HxW] [--classes N]

Seconds of CRF post-processing (defaults: 1 thread, 5 runs, 375x500, 21 classes).
Example: npm run -s bench -- crf --threads 2 --json`;

function positive(name, text) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new Error(`Expected a positive integer for --${name} but received '${text}'`);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      args: process.argv.slice(process.argv[2] === 'crf' ? 3 : 2),
      options: {
        help: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        threads: { type: 'string', default: '1' },
        runs: { type: 'string', default: '5' },
        size: { type: 'string', default: '375x500' },
        classes: { type: 'string', default: '21' },
      },
    });
    const [height, width, ...more] = values.size.split('x').map((part) => positive('size (HxW)', part));
    if (width === undefined || more.length > 0)
      throw new Error(`Expected HxW for --size but received '${values.size}'`);
    const [threads, runs, classes] = ['threads', 'runs', 'classes'].map((n) => positive(n, values[n]));
    if (classes < 2) throw new Error('Expected at least 2 for --classes but received 1');
    return { ...values, height, width, threads, runs, classes };
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
const { height, width, classes, runs } = options;
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const megabytes = () => process.resourceUsage().maxRSS / 1024;

/** Random fields of several scales, as a photograph has them, and its noise: deviations in grey levels of 0..255. */
function picture(scales, noise) {
  return scope(() => {
    const fields = scales.map(([cells, deviation]) =>
      Tensor.randn([1, 3, cells, cells])
        .interpolate([height, width])
        .mul(deviation * 1.5),
    );
    const sum = fields.reduce((a, b) => a.add(b), Tensor.randn([1, 3, height, width]).mul(noise));
    const bytes = sum.add(120).clamp(0, 255).permute(0, 2, 3, 1).contiguous();
    return Uint8Array.from(bytes.data());
  });
}

setNumThreads(options.threads);
setupSeed(1);
const pictures = {
  flat: picture([], 0),
  photograph: picture(
    [
      [4, 45],
      [16, 20],
      [64, 10],
    ],
    4,
  ),
  noise: picture([], 255),
};
const probabilities = scope(() =>
  Tensor.randn([1, classes, 32, 32])
    .mul(2)
    .interpolate([height, width])
    .reshape(classes, height, width)
    .softmax(0),
);

function measure(rgb) {
  const [seconds, cpu] = [[], []];
  const before = megabytes();
  for (let i = 0; i <= runs; i++) {
    const [start, used] = [performance.now(), process.cpuUsage()];
    denseCrf(rgb, probabilities).dispose();
    const { user, system } = process.cpuUsage(used);
    seconds.push((performance.now() - start) / 1000);
    cpu.push((user + system) / 1e6);
  }
  // The first run warms caches and allocator.
  return {
    seconds: median(seconds.slice(1)),
    cpuSeconds: median(cpu.slice(1)),
    peakGrowthMb: Math.round(megabytes() - before),
  };
}

const result = {
  height,
  width,
  classes,
  threads: getNumThreads(),
  runs,
  options: CRF_DEFAULTS,
  pictures: Object.fromEntries(Object.entries(pictures).map(([name, rgb]) => [name, measure(rgb)])),
  peakRssMb: Math.round(megabytes()),
};
if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
else {
  const rows = Object.entries(result.pictures).map(([name, m]) => [name, m.seconds, m.cpuSeconds]);
  process.stdout.write(
    `${height} x ${width}, ${classes} classes, threads: ${result.threads}, medians of ${runs} after a warm-up\n` +
      `${formatTable(rows, { header: ['picture', 'seconds', 'CPU seconds'] })}\n` +
      `peak memory of this process: ${result.peakRssMb} MB\n`,
  );
}
