// npm run bench -- export [--json] [--threads N] [--images N]: seconds of a map from the slice's file to the heatmap's,
// what the files are of that, and what finding finished maps again costs. Crop 320, mit_b1, scales 1, 0.5, 1.5, CPU.
import { stretch } from '../dist/export/attention-maps.js';
import { overlayCam } from '../dist/export/heatmap.js';
import { encodePng } from '../dist/export/png.js';
import { formatTable } from '../dist/export/table.js';
import { encodeNpyDict } from '../dist/io/npy-dict.js';
import { batchRgb } from '../dist/loading/batch-pixels.js';
import { WeTr } from '../dist/models/wetr.js';
import { getNumThreads, setNumThreads, setupSeed } from '../dist/tensor/index.js';
import { mapExport } from './lib/map-export.mjs';
import { print, processFacts } from './lib/measuring.mjs';
import { atLeast, readOptions, THREADS } from './lib/options.mjs';

const HELP = `Usage: npm run bench -- export [--json] [--threads N] [--images N]

Exports maps of N slices (12) of 320 x 320: seconds each, the CPU time of colours, PNG and npy among them, and slices a
second of a second run that finds them finished. Example: npm run -s bench -- export --json`;

const options = readOptions('export', HELP, {
  threads: THREADS(),
  images: { value: '12', read: atLeast(2) },
});
const SIDE = 320;
const PIXELS = SIDE * SIDE;
if (options.threads) setNumThreads(options.threads);
setupSeed(1);

const model = new WeTr({ backbone: 'mit_b1', numClasses: 2 }).eval();
const work = mapExport({ model, device: 'cpu', side: SIDE, images: options.images });

/** CPU milliseconds of everything that makes files of one map. */
async function finishing(times = 20) {
  const data = Uint8Array.from({ length: PIXELS }, (_, i) => 128 + 90 * Math.sin(i / 50));
  const pixels = { kind: 'bytes', data, channels: 1, mirrored: new Uint8Array(1) };
  const map = Float32Array.from({ length: PIXELS }, (_, i) => Math.abs(Math.sin(i / 3000)));
  const once = async () => {
    const cam = stretch(map);
    await encodePng(overlayCam(batchRgb({ pixels, height: SIDE, width: SIDE }, 0), cam), SIDE, SIDE);
    const plane = (data) => ({ dtype: 'float32', shape: [SIDE, SIDE], data });
    return encodeNpyDict({ cam: plane(cam), cam_raw: plane(map) });
  };
  for (let i = 0; i < 5; i++) await once();
  const before = process.cpuUsage();
  for (let i = 0; i < times; i++) await once();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / times;
}

const secondsPerMap = await work.run();
const finishingCpuMs = await finishing();
const again = work.finished();
const begin = performance.now();
let looked = 0;
for (; performance.now() - begin < 200; looked++)
  if (!again.has(work.names[looked % work.names.length])) throw new Error('Expected a finished map');
const skippedPerSecond = (1000 * looked) / (performance.now() - begin);
work.remove();

const result = {
  threads: getNumThreads(),
  images: options.images,
  secondsPerMap,
  finishing: { cpuMs: finishingCpuMs },
  finished: { imagesPerSecond: Math.round(skippedPerSecond) },
  ...processFacts(),
};
print(result, options.json, () =>
  formatTable(
    [
      ['map of one slice, 3 scales, written', `${secondsPerMap.toFixed(3)} s`],
      ['colours, PNG and npy of it, CPU', `${finishingCpuMs.toFixed(1)} ms`],
      ['finished maps found again', `${skippedPerSecond.toFixed(0)} /s`],
      ['peak memory', `${result.peakRssMb} MB`],
      ['load', result.loadAverage.toFixed(1)],
    ],
    { align: ['left', 'right'] },
  ),
);
