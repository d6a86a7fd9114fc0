// npm run bench -- loader [--json]: images a second that the training loader reads and augments, and the seconds from
// a list of 120,000 images to the first batch. Crop 320, batch 4, rescaling from 0.5 to 2: the shipped configurations.
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { loadConfig } from '../dist/config/load.js';
import { formatTable } from '../dist/export/table.js';
import { writeNpy } from '../dist/io/npy.js';
import { writeNpyDict } from '../dist/io/npy-dict.js';
import { createTrainLoader } from '../dist/loading/loader.js';
import { checkData } from '../dist/training/check-data.js';
import { atLeast, RUNS, readOptions } from './lib/options.mjs';

const HELP = `Usage: npm run bench -- loader [--json] [--workers N] [--runs N] [--names N] [--files N,N,...]

Images a second of the training loader, for npy slices of 320 x 320 and JPEGs of 500 x 375 (quality 90), without cache;
seconds from a list of N names (120000) to the first batch; and both again for folders of so many slices (--files; default
1000,120000: links to a few, since a folder is what matters).`;

const options = readOptions('loader', HELP, {
  workers: { value: '2', read: atLeast(1) },
  runs: RUNS(),
  names: { value: '120000', read: atLeast(4) },
  files: {
    value: '1000,120000',
    read: (text, name) => text.split(',').map((part) => atLeast(10)(part, name)),
  },
});
const { workers, runs, names: nameCount } = options;
const say = (text) => process.stderr.write(`${text}\n`);
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const IMAGES = 64;
const folder = mkdtempSync(join(tmpdir(), 'afa-bench-loader-'));

/** Smooth shapes with grain, so that a JPEG has the size of a photograph's (60 to 90 KB). */
async function photograph(seed) {
  const [width, height] = [500, 375];
  const coarse = Uint8Array.from(
    { length: 3 * 12 * 16 },
    (_, i) => (Math.imul(i + 1, 2654435761 + seed * 97) >>> 24) & 255,
  );
  const smooth = await sharp(coarse, { raw: { width: 16, height: 12, channels: 3 } })
    .resize(width, height, { kernel: 'cubic', fit: 'fill' })
    .raw()
    .toBuffer();
  let state = seed + 1;
  for (let i = 0; i < smooth.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    smooth[i] = Math.min(255, Math.max(0, smooth[i] + (state >> 27)));
  }
  return sharp(smooth, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
}

const label = {
  dtype: 'float32',
  shape: [20],
  data: Float32Array.from({ length: 20 }, (_, i) => Number(i === 3)),
};

/** A VOC folder of `names`, all of them links to the `files` that there are. */
function writeVoc(root, names, files) {
  mkdirSync(join(root, 'JPEGImages'), { recursive: true });
  for (const [i, name] of names.entries())
    symlinkSync(files[i % files.length], join(root, 'JPEGImages', `${name}.jpg`));
  writeFileSync(join(root, 'train.txt'), names.join('\n'));
  writeFileSync(join(root, 'val.txt'), names.slice(0, 4).join('\n'));
  writeNpyDict(join(root, 'cls_labels_onehot.npy'), new Map(names.map((name) => [name, label])));
}

const vocConfig = (root) =>
  loadConfig({
    dataset: 'voc',
    set: [
      `dataset.root_dir=${root}`,
      `dataset.name_list_dir=${root}`,
      'train.split=train',
      'train.samples_per_gpu=4',
      'dataset.cache_bytes=0',
    ],
  }).config;

async function imagesPerSecond(config) {
  const loader = createTrainLoader(config, { numWorkers: workers, onWarning: () => {} });
  const batches = IMAGES / 4;
  // The first ones also start the workers and compile their code.
  for (let i = 0; i < 2 * batches; i++) await loader.next();
  const rates = [];
  const before = process.cpuUsage();
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    for (let i = 0; i < batches; i++) await loader.next();
    rates.push((1000 * IMAGES) / (performance.now() - start));
  }
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000;
  await loader.close();
  return { imagesPerSecond: median(rates), cpuMsPerImage: cpuMs / (runs * IMAGES) };
}

/** As a training starts: both splits are opened, and the workers list the folder for themselves. */
async function secondsToFirstBatch(config) {
  const start = performance.now();
  const before = process.cpuUsage();
  const { train: opened } = checkData(config);
  const loader = createTrainLoader(config, { numWorkers: workers, opened });
  await loader.next();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  await loader.close();
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

const lascConfig = (root, trainStart, mmap = false) =>
  loadConfig({
    dataset: 'lasc',
    set: [
      `dataset.root_dir=${root}`,
      `dataset.slice_split=[0, ${trainStart}]`,
      'dataset.cache_bytes=0',
      `dataset.mmap=${mmap}`,
    ],
  }).config;

/** A folder of `count` slices, hard links to those of `folder`: a fifth of them validates. */
async function manySlices(count, source) {
  const root = join(folder, `files-${count}/imageSlice`);
  mkdirSync(root, { recursive: true });
  const real = readdirSync(source);
  for (let i = 0; i < count; i++) {
    const name = `P_${String(i).padStart(8, '0')}_${i % 2}.npy`;
    linkSync(join(source, real[i % real.length]), join(root, name));
  }
  const config = lascConfig(root, Math.floor(count / 5));
  const start = await secondsToFirstBatch(config);
  const rate = await imagesPerSecond(config);
  rmSync(root, { recursive: true });
  return { files: count, ...rate, start };
}

const numbers = (count) => Array.from({ length: count }, (_, i) => String(i).padStart(8, '0'));

say(`Writing ${IMAGES} images of each kind to ${folder}`);
const slices = join(folder, 'lasc/imageSlice');
mkdirSync(slices, { recursive: true });
for (const name of numbers(IMAGES)) {
  const data = Uint8Array.from({ length: 320 * 320 }, (_, i) => (i * 31 + i / 320) & 255);
  writeNpy(join(slices, `P_${name}_0.npy`), { dtype: 'uint8', shape: [320, 320], data });
}
const files = [];
let bytes = 0;
for (let i = 0; i < IMAGES; i++) {
  const jpeg = await photograph(i);
  bytes += jpeg.length;
  files.push(join(folder, `${i}.jpg`));
  writeFileSync(files[i], jpeg);
}
writeVoc(join(folder, 'voc'), numbers(IMAGES), files);

const npy = await imagesPerSecond(lascConfig(slices, 1));
say(`  npy: ${npy.imagesPerSecond.toFixed(0)} images/s`);
const mapped = await imagesPerSecond(lascConfig(slices, 1, true));
say(`  npy, memory-mapped: ${mapped.imagesPerSecond.toFixed(0)} images/s`);
const jpeg = await imagesPerSecond(vocConfig(join(folder, 'voc')));
say(`  JPEG: ${jpeg.imagesPerSecond.toFixed(0)} images/s`);
writeVoc(join(folder, 'many'), numbers(nameCount), files);
const firstBatch = await secondsToFirstBatch(vocConfig(join(folder, 'many')));
const folders = [];
for (const count of options.files) {
  folders.push(await manySlices(count, slices));
  say(`  ${count} slices: ${folders.at(-1).imagesPerSecond.toFixed(0)} images/s`);
}
rmSync(folder, { recursive: true });

const result = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  // Others' work on the machine takes its share: a rate counts only beside its load.
  load: loadavg()[0],
  workers,
  npy320: npy,
  npy320Mapped: mapped,
  jpeg500x375: { ...jpeg, bytesPerImage: Math.round(bytes / IMAGES) },
  start: { names: nameCount, ...firstBatch },
  folders,
};
if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
else {
  const rows = [
    [
      'npy slices, 320 x 320',
      `${npy.imagesPerSecond.toFixed(0)} images/s`,
      `${npy.cpuMsPerImage.toFixed(1)} ms of CPU each`,
    ],
    [
      'the same, memory-mapped',
      `${mapped.imagesPerSecond.toFixed(0)} images/s`,
      `${mapped.cpuMsPerImage.toFixed(1)} ms of CPU each`,
    ],
    [
      `JPEG, 500 x 375, ${Math.round(result.jpeg500x375.bytesPerImage / 1024)} KB`,
      `${jpeg.imagesPerSecond.toFixed(0)} images/s`,
      `${jpeg.cpuMsPerImage.toFixed(1)} ms of CPU each`,
    ],
    [
      `${nameCount} names to the first batch`,
      `${firstBatch.seconds.toFixed(1)} s`,
      `${firstBatch.cpuSeconds.toFixed(1)} s of CPU`,
    ],
    ...folders.map(({ files: count, imagesPerSecond: rate, start }) => [
      `folder of ${count} slices`,
      `${rate.toFixed(0)} images/s`,
      `first batch after ${start.seconds.toFixed(1)} s, ${start.cpuSeconds.toFixed(1)} s of CPU`,
    ]),
    ['workers', String(workers), ''],
    [`load of this machine (${result.cores} cores)`, result.load.toFixed(1), ''],
  ];
  process.stdout.write(`${formatTable(rows, { align: ['left', 'right', 'left'] })}\n`);
}
