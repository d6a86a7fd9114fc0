// npm run bench -- crf [--json] [--threads N] [--runs N] [--size HxW] [--classes N]: seconds of the fully-connected
// CRF with the original's parameters. How long it takes depends on how many lattice vertices the colours occupy: a
// flat picture has the fewest, noise the most, and a photograph lies between them.
import { CRF_DEFAULTS, denseCrf } from '../dist/cam/dense-crf.js';
import { formatTable } from '../dist/export/table.js';
import { getNumThreads, scope, setNumThreads, setupSeed, Tensor } from '../dist/tensor/index.js';
import { print, processFacts, spread } from './lib/measuring.mjs';
import { atLeast, RUNS, readOptions, THREADS } from './lib/options.mjs';

const HELP = `Usage: npm run bench -- crf [--json] [--threads N] [--runs N] [--size HxW] [--classes N]

Seconds of CRF post-processing (defaults: 1 thread, 5 runs, 375x500, 21 classes).
Example: npm run -s bench -- crf --threads 2 --json`;

const readSize = (text, name) => {
  const sides = text.split('x').map((part) => atLeast(1)(part, name));
  if (sides.length === 2) return sides;
  throw new Error(`Expected HxW for --${name} but received '${text}'`);
};

const options = readOptions('crf', HELP, {
  threads: THREADS('1'),
  runs: RUNS(),
  size: { value: '375x500', read: readSize },
  classes: { value: '21', read: atLeast(2) },
});
const { classes, runs } = options;
const [height, width] = options.size;
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
  const wall = spread(seconds.slice(1));
  return {
    seconds: wall.median,
    quartiles: wall.quartiles,
    cpuSeconds: spread(cpu.slice(1)).median,
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
  ...processFacts(),
};
print(result, options.json, () => {
  const rows = Object.entries(result.pictures).map(([name, m]) => [name, m.seconds, m.cpuSeconds]);
  return (
    `${height} x ${width}, ${classes} classes, threads: ${result.threads}, medians of ${runs} after a warm-up\n` +
    `${formatTable(rows, { header: ['picture', 'seconds', 'CPU seconds'] })}\n` +
    `peak memory of this process: ${result.peakRssMb} MB`
  );
});
