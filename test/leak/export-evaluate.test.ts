/** Export, evaluation and validation stream: 300 images take no more memory than 100. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generatePhantom } from '../../src/datasets/phantom.js';
import { childJson } from '../native/support.js';

const folder = mkdtempSync(join(tmpdir(), 'afa-leak-'));
beforeAll(() => {
  generatePhantom({ outDir: join(folder, 'data'), patients: 20, slices: 16, size: 64, seed: 3 });
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Found {
  live: number[];
  rss: number[];
  arrays: number[];
  images: number;
}

/** Every image of the set with masks through one of the streams, memory sampled every 20 images. */
const STREAM = `
import { loadConfig } from 'DIST/config/load.js';
import { evaluateImages } from 'DIST/evaluation/evaluate-images.js';
import { exportAttentionMaps } from 'DIST/export/attention-maps.js';
import { createEvalLoader } from 'DIST/loading/loader.js';
import { WeTr } from 'DIST/models/wetr.js';
import { memory } from 'DIST/tensor/index.js';
import { validate } from 'DIST/training/validate.js';
import { mkdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const folder = FOLDER;
const { config } = loadConfig({ dataset: 'lasc', set: [
  'dataset.root_dir=' + folder + '/data/imageSlice', 'dataset.slice_split=[0, 310]', 'val.batch_size=4',
] });
const model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
const loader = createEvalLoader(config, 'val', { numWorkers: 1 });
const live = new Set();
const [rss, arrays] = [[], []];
let at = 0;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const onProgress = (done) => {
  live.add(memory().liveTensors);
  if (done - at < 20) return;
  at = done;
  // Garbage waits as V8 likes, and its own heap grows meanwhile: neither is a leak.
  collect();
  const { rss: all, heapTotal, external } = process.memoryUsage();
  rss.push((all - heapTotal) / 2 ** 20);
  arrays.push(external / 2 ** 20);
};
const common = { device: 'cpu', scales: [1], onProgress };
mkdirSync(folder + '/KIND', { recursive: true });
const streams = {
  export: () => exportAttentionMaps(model, loader, { ...common, outputDir: folder + '/KIND', camNpyDir: folder + '/KIND/npy' }),
  evaluate: () => evaluateImages(model, loader, { ...common, flip: true, longSide: 0, outputDir: folder + '/KIND',
    maps: { scales: [1], bkgScore: 0.45, propagation: { bkgScore: 0.35, radius: 8 } } }),
  validate: () => validate(model, loader, { ...common, cam: true, negativeMaps: true, bkgScore: 0.45 }),
};
const { written, images } = await streams.KIND();
await loader.close();
console.log(JSON.stringify({ live: [...live], rss, arrays, images: images ?? written }));
`;

describe('310 images', () => {
  it.each(['export', 'evaluate', 'validate'])('leave tensors, arrays and memory flat: %s', async (kind) => {
    const code = STREAM.replaceAll('KIND', kind).replace('FOLDER', JSON.stringify(folder));
    const found = await childJson<Found>(code, { timeout: 110_000 });
    expect(found.images).toBe(310);
    expect(found.live, 'one count after every batch').toHaveLength(1);
    // By how many MB the least of the last 100 images' samples is above the most of the first 100's: buffers that come and
    // go do not count. One array of floats for each map that is kept would be 2 MB, and 6 with what goes into a file.
    const growth = (samples: number[]) => Math.min(...samples.slice(-5)) - Math.max(...samples.slice(0, 5));
    expect(growth(found.arrays), found.arrays.map((mb) => mb.toFixed(1)).join(' ')).toBeLessThan(1);
    expect(growth(found.rss), found.rss.map(Math.round).join(' ')).toBeLessThan(20);
  });
});
