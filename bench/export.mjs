// npm run bench -- export [--json] [--threads N] [--images N]: seconds of a map from the slice's file to the heatmap's,
// what the files are of that, and what finding finished maps again costs. Crop 320, mit_b1, scales 1, 0.5, 1.5, CPU.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../dist/config/load.js';
import { exportAttentionMaps, stretch } from '../dist/export/attention-maps.js';
import { FinishedMaps } from '../dist/export/finished-maps.js';
import { overlayCam } from '../dist/export/heatmap.js';
import { encodePng } from '../dist/export/png.js';
import { formatTable } from '../dist/export/table.js';
import { writeNpy } from '../dist/io/npy.js';
import { encodeNpyDict } from '../dist/io/npy-dict.js';
import { batchRgb } from '../dist/loading/batch-pixels.js';
import { createEvalLoader } from '../dist/loading/loader.js';
import { WeTr } from '../dist/models/wetr.js';
import { getNumThreads, setNumThreads, setupSeed } from '../dist/tensor/index.js';
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

const folder = mkdtempSync(join(tmpdir(), 'afa-bench-export-'));
const slices = join(folder, 'imageSlice');
mkdirSync(slices);
for (let i = 0; i <= options.images; i++) {
  const data = Uint8Array.from(
    { length: PIXELS },
    (_, p) => 128 + 90 * Math.sin(p / 37) * Math.sin(p / 9000 + i),
  );
  writeNpy(join(slices, `P_${String(i).padStart(6, '0')}_1.npy`), {
    dtype: 'uint8',
    shape: [SIDE, SIDE],
    data,
  });
}
const { config } = loadConfig({
  dataset: 'lasc',
  set: [`dataset.root_dir=${slices}`, `dataset.slice_split=[0, ${options.images}]`],
});
const folders = { outputDir: join(folder, 'maps'), camNpyDir: join(folder, 'npy') };
for (const path of Object.values(folders)) mkdirSync(path);
const finished = new FinishedMaps(folders, 'bench', false);
const model = new WeTr({ backbone: 'mit_b1', numClasses: 2 }).eval();

/** Exports what is not finished yet. */
async function run() {
  const loader = createEvalLoader(config, 'val', { skip: (name) => finished.has(name) });
  const started = [];
  const settings = { ...folders, device: 'cpu', scales: [1, 0.5, 1.5], finished };
  const onProgress = () => started.push(performance.now());
  const result = await exportAttentionMaps(model, loader, { ...settings, onProgress });
  const end = performance.now();
  await loader.close();
  return { result, started, end };
}

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

const { started, end } = await run();
// From the first map on: starting workers and warming caches is no map's.
const secondsPerMap = (end - started[0]) / 1000 / (options.images - 1);
const finishingCpuMs = await finishing();
const again = new FinishedMaps(folders, 'bench', false);
const names = Array.from({ length: options.images }, (_, i) => `P_${String(i).padStart(6, '0')}_1`);
const begin = performance.now();
let looked = 0;
for (; performance.now() - begin < 200; looked++)
  if (!again.has(names[looked % names.length])) throw new Error('Expected a finished map');
const skippedPerSecond = (1000 * looked) / (performance.now() - begin);
rmSync(folder, { recursive: true });

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
