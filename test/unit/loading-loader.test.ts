import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { MedicalClsDataset, MedicalClsValDataset } from '../../src/datasets/medical-slices.js';
import { getDataset, registerDataset } from '../../src/datasets/registry.js';
import { writeNpy } from '../../src/io/npy.js';
import type { Batch } from '../../src/loading/batch.js';
import { batchImages } from '../../src/loading/batch-images.js';
import {
  createEvalLoader,
  createTrainLoader,
  type EvalLoader,
  type TrainLoaderOptions,
} from '../../src/loading/loader.js';
import { configFor, mask, newFolder, slice, writeMask, writeSlices } from './slice-folders.js';

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));

beforeAll(() => {
  if (!existsSync(join(DIST, 'loading/worker.js')))
    throw new Error('Run `npm run build:ts` before these tests.');
});

const open: EvalLoader[] = [];
afterEach(() => Promise.all(open.splice(0).map((loader) => loader.close())));

function opened<T extends EvalLoader>(loader: T): T {
  open.push(loader);
  return loader;
}

async function take(loader: EvalLoader, count: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let i = 0; i < count; i++) batches.push((await loader.next())!);
  return batches;
}

async function drain(loader: EvalLoader): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let batch = await loader.next(); batch; batch = await loader.next()) batches.push(batch);
  return batches;
}

/** [B, 3, H, W] as the network sees it. */
function seen(batch: Batch): Float32Array {
  using images = batchImages(batch);
  return images.toFloat32();
}

/** 14 slices, the first 3 for validation; batches of 4. */
function trainingConfig(settings: Record<string, unknown> = {}) {
  const rootDir = newFolder();
  writeSlices(rootDir, 14);
  return configFor(rootDir, { 'dataset.slice_split': [0, 3], 'train.samples_per_gpu': 4, ...settings });
}

const train = (config: ReturnType<typeof trainingConfig>, options: TrainLoaderOptions = {}) =>
  opened(createTrainLoader(config, { onWarning: () => {}, ...options }));

/** Puts damaged slices in the place of others, each at once: a worker that is reading one goes on with the sound file. */
function damageAll(rootDir: string, names: readonly string[]): void {
  const damaged = join(rootDir, 'damaged');
  for (const name of names) {
    writeFileSync(damaged, 'damaged');
    renameSync(damaged, join(rootDir, `${name}.npy`));
  }
}

/** Threads of this process by how far they give way to others. */
function niceness(): number[] {
  return readdirSync('/proc/self/task').flatMap((id) => {
    try {
      return [Number(readFileSync(`/proc/self/task/${id}/stat`, 'utf8').split(') ')[1]!.split(' ')[16])];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}

describe('createTrainLoader', () => {
  it.runIf(process.platform === 'linux')('has workers that give way to compute threads', async () => {
    const before = niceness();
    const own = getPriority();
    const loader = train(trainingConfig(), { numWorkers: 2 });
    for (let i = 0; i < 4; i++) await loader.next();
    const giving = (all: number[]) => all.filter((nice) => nice > own).length;
    expect(giving(niceness()) - giving(before)).toBe(2);
    expect(getPriority()).toBe(own);
  });

  it('takes a split that is open already, and gives the same stream', async () => {
    const config = trainingConfig();
    const warn = () => {};
    const opened = getDataset('lasc').open(config.dataset, 'train', warn);
    const listed = vi.spyOn(getDataset('lasc'), 'open');
    const given = train(config, { numWorkers: 1, opened });
    expect(listed).not.toHaveBeenCalled();
    listed.mockRestore();
    expect(await take(given, 5)).toEqual(await take(train(config, { numWorkers: 1 }), 5));
  });

  it('gives the same stream whatever the number of workers', async () => {
    const config = trainingConfig();
    const alone = await take(train(config, { numWorkers: 0 }), 7);
    for (const numWorkers of [1, 3]) {
      expect(await take(train(config, { numWorkers }), 7)).toEqual(alone);
    }
    expect(await take(train(trainingConfig({ 'train.seed': 2 }), { numWorkers: 0 }), 1)).not.toEqual(
      alone.slice(0, 1),
    );
  });

  it('decodes each image once, for all of its workers', async () => {
    const config = trainingConfig();
    const whole = await take(train(config, { numWorkers: 0 }), 24);
    const loader = train(config, { numWorkers: 2 });
    const begun = await take(loader, 12);
    // Six epochs have shown every slice: whoever reads one again now fails.
    expect(new Set(begun.flatMap(({ names }) => names)).size).toBe(11);
    damageAll(config.dataset.root_dir, loader.dataset.names);
    expect([...begun, ...(await take(loader, 12))]).toEqual(whole);
  });

  it('reads again what its cache has no room for', async () => {
    const config = trainingConfig({ 'dataset.cache_bytes': 1 });
    const loader = train(config, { numWorkers: 2 });
    await take(loader, 12);
    damageAll(config.dataset.root_dir, loader.dataset.names);
    await expect(take(loader, 12)).rejects.toThrow('Expected a .npy file');
  });

  it('gives the same stream without a cache', async () => {
    const config = trainingConfig();
    const uncached = configFor(config.dataset.root_dir, {
      'dataset.slice_split': [0, 3],
      'train.samples_per_gpu': 4,
      'dataset.cache_bytes': 0,
    });
    expect(await take(train(uncached, { numWorkers: 0 }), 5)).toEqual(
      await take(train(config, { numWorkers: 0 }), 5),
    );
  });

  it('fills a batch with what the dataset class gives for the same epoch', async () => {
    const config = trainingConfig();
    const loader = train(config, { numWorkers: 1 });
    const { root_dir: rootDir } = config.dataset;
    const dataset = new MedicalClsDataset({
      rootDir,
      sliceSplit: [0, 3],
      cropSize: 64,
      seed: config.train.seed,
    });
    const [, , batch] = await take(loader, 3); // 11 samples: the third batch is of epoch 1
    expect([batch!.height, batch!.width, batch!.names.length]).toEqual([64, 64, 4]);
    const images = seen(batch!);
    for (const [b, name] of batch!.names.entries()) {
      const { image, label, box } = dataset.item(dataset.names.indexOf(name), 1);
      expect(images.subarray(b * image.length, (b + 1) * image.length)).toEqual(image);
      expect([...batch!.boxes.subarray(4 * b, 4 * b + 4)]).toEqual([box.y0, box.y1, box.x0, box.x1]);
      expect(batch!.labels[b]).toBe(label[0]);
    }
    expect(batch).not.toHaveProperty('masks');
  });

  it('goes on from a position as if it had never stopped', async () => {
    const config = trainingConfig();
    const whole = train(config, { numWorkers: 2 });
    await take(whole, 3);
    const startPosition = JSON.parse(JSON.stringify(whole.position()));
    // 11 training samples give 2 batches of 4 an epoch; what is merely prepared does not count.
    expect(startPosition).toEqual({ epoch: 1, cursor: 4 });
    const rest = await take(whole, 4);
    expect(await take(train(config, { numWorkers: 1, startPosition }), 4)).toEqual(rest);
  });

  it('describes the split without reading a pixel', () => {
    const loader = train(trainingConfig(), { numWorkers: 0 });
    expect(loader.length).toBe(11);
    expect(loader.dataset.names.slice(0, 2)).toEqual(['P_003_1', 'P_004_0']);
    expect(loader.dataset.labels.slice(0, 2)).toEqual([Uint8Array.of(1), Uint8Array.of(0)]);
    expect([loader.dataset.hasMasks, loader.dataset.numClasses]).toEqual([false, 2]);
  });

  it.each([0, 2])(
    'names the file of a sample at fault, and goes on after it (%d workers)',
    async (numWorkers) => {
      const config = trainingConfig({ 'train.samples_per_gpu': 1 });
      const path = join(config.dataset.root_dir, 'P_007_1.npy');
      writeNpy(path, { dtype: 'float32', shape: [1, 2], data: Float32Array.of(1, Number.NaN) });
      const loader = train(config, { numWorkers });
      const outcomes: unknown[] = [];
      for (let i = 0; i < 11; i++) outcomes.push(await loader.next().catch((error) => error));
      const errors = outcomes.filter((outcome) => outcome instanceof Error);
      expect(errors).toEqual([
        new UsageError(
          `Expected finite values for ${path} but received NaN at element 1. ` +
            'Replace NaN and infinite values, or remove the slice.',
        ),
      ]);
      expect(errors[0]).toBeInstanceOf(UsageError);
    },
  );

  it('passes each kind of warning on once', async () => {
    const config = trainingConfig();
    for (const i of [5, 6, 7]) {
      const path = join(config.dataset.root_dir, `P_00${i}_${i % 2}.npy`);
      writeNpy(path, { dtype: 'int16', shape: [2, 2], data: Int16Array.of(0, 1, 2, 3000) });
    }
    const warnings: string[] = [];
    await take(train(config, { numWorkers: 2, onWarning: (message) => warnings.push(message) }), 6);
    expect(warnings).toEqual([expect.stringContaining('holds values from 0 to 3000')]);
  });

  it('refuses faults that names show when it is made', () => {
    const config = trainingConfig({ 'dataset.slice_split': [4400, 4884] });
    expect(() => createTrainLoader(config)).toThrow('within the 14 slices of');
    expect(() => createTrainLoader(trainingConfig({ 'train.samples_per_gpu': 12 }))).toThrow(
      'Expected at least 12 training samples (train.samples_per_gpu 12 x 1 processes) but received 11.',
    );
  });

  it('refuses what is asked of it once closed, also what is under way', async () => {
    const loader = train(trainingConfig(), { numWorkers: 1 });
    const underWay = loader.next();
    const refused = expect(underWay).rejects.toThrow('The loader is closed.');
    await loader.close();
    await refused;
    await expect(loader.next()).rejects.toThrow('The loader is closed.');
    await loader.close();
  });
});

describe('createEvalLoader', () => {
  it('refuses an image that has not the values of its size, by name, and goes on after it', async () => {
    const readImage = (i: number) => ({ data: new Uint8Array(i === 0 ? 11 : 12), height: 2, width: 2 });
    registerDataset({
      name: 'short',
      title: 'Short',
      open: () => ({
        names: ['a', 'b'],
        numClasses: 2,
        hasMasks: false,
        label: () => Uint8Array.of(1),
        readImage,
        readMask: () => undefined,
        get: async (i) => ({ name: 'ab'[i]!, image: readImage(i), label: Uint8Array.of(1) }),
      }),
    });
    const config = configFor(newFolder(), { 'dataset.name': 'short' });
    const loader = opened(createEvalLoader(config, 'val', { batchSize: 1, numWorkers: 0 }));
    await expect(loader.next()).rejects.toThrow(
      'Expected 12 values (2 x 2 x 3) for the pixels of a but received 11. Mend readImage() of the dataset.',
    );
    expect((await loader.next())!.names).toEqual(['b']);
  });

  /** Sizes 40x48 twice, 40x40, 40x48; masks for the second and the third. */
  function mixedFolder(): string {
    const rootDir = newFolder();
    for (const [i, width] of [48, 48, 40, 48, 48].entries()) {
      writeNpy(join(rootDir, `P_${i}_${i % 2}.npy`), slice(40, width, i));
    }
    writeMask(rootDir, 'P_1_1.npy', mask(40, 48));
    writeMask(rootDir, 'P_2_0.npy', mask(40, 40));
    return rootDir;
  }

  it.each([0, 2])(
    'gives each image once, whole, in order, with its mask (%d workers)',
    async (numWorkers) => {
      const rootDir = mixedFolder();
      const config = configFor(rootDir, { 'dataset.slice_split': [0, 4] });
      const loader = opened(createEvalLoader(config, 'val', { batchSize: 4, numWorkers }));
      const batches = await drain(loader);
      expect(batches.map(({ names }) => names)).toEqual([['P_0_0', 'P_1_1'], ['P_2_0'], ['P_3_1']]);
      expect(batches.map(({ height, width }) => [height, width])).toEqual([
        [40, 48],
        [40, 40],
        [40, 48],
      ]);
      expect([...batches[0]!.boxes]).toEqual([0, 40, 0, 48, 0, 40, 0, 48]);
      expect([...batches[0]!.labels]).toEqual([0, 1]);
      expect(batches.map(({ masks }) => masks?.map((m) => m?.data))).toEqual([
        [undefined, mask(40, 48).data],
        [mask(40, 40).data],
        [undefined],
      ]);
      const dataset = new MedicalClsValDataset({ rootDir, sliceSplit: [0, 4] });
      expect(seen(batches[1]!)).toEqual(dataset.item(2).image);
      expect(seen(batches[0]!).subarray(3 * 40 * 48)).toEqual(dataset.item(1).image);
      expect(await loader.next()).toBeUndefined();
    },
  );

  it('counts samples in its position, also within a task that gave several batches', async () => {
    const config = configFor(mixedFolder(), { 'dataset.slice_split': [0, 4] });
    const loader = opened(createEvalLoader(config, 'val', { batchSize: 4, numWorkers: 0 }));
    const cursors = [loader.position().cursor];
    for (let i = 0; i < 3; i++) {
      await loader.next();
      cursors.push(loader.position().cursor);
    }
    expect(cursors).toEqual([0, 2, 3, 4]);
  });

  it('answers overlapping calls in order', async () => {
    const config = configFor(mixedFolder(), { 'dataset.slice_split': [0, 4] });
    const loader = opened(createEvalLoader(config, 'val', { batchSize: 1, numWorkers: 2 }));
    const batches = await Promise.all(Array.from({ length: 5 }, () => loader.next()));
    expect(batches.map((batch) => batch?.names[0])).toEqual(['P_0_0', 'P_1_1', 'P_2_0', 'P_3_1', undefined]);
  });

  it('gives no masks where the split has none', async () => {
    const config = configFor(mixedFolder(), { 'dataset.slice_split': [3, 4] });
    const loader = opened(createEvalLoader(config, 'val', { numWorkers: 0 }));
    expect((await loader.next())!.masks).toBeUndefined();
  });
});

describe('workers', () => {
  const register = pathToFileURL(join(DIST, 'datasets/registry.js')).href;

  it('prepare batches while the main thread computes', async () => {
    // A dataset of another module whose images take 100 ms each.
    const folder = dirname(newFolder());
    const module = join(folder, 'slow.mjs');
    writeFileSync(
      module,
      `export const slow = {
        name: 'slow', title: 'Slow',
        open: () => ({
          names: ['a', 'b', 'c', 'd'], numClasses: 2, hasMasks: false,
          label: () => Uint8Array.of(1),
          readImage() {
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
            return { data: new Uint8Array(4096), height: 64, width: 64, channels: 1 };
          },
          readMask: () => undefined,
        }),
      };
      const { registerDataset } = await import(${JSON.stringify(register)});
      registerDataset(slow);`,
    );
    const { slow } = await import(pathToFileURL(module).href);
    const { registerDataset } = await import('../../src/datasets/registry.js');
    registerDataset(slow);
    const config = configFor(folder, {
      'dataset.name': 'slow',
      'dataset.cache_bytes': 0,
      'train.samples_per_gpu': 4,
    });
    const loader = train(config, { numWorkers: 1, datasetModules: [pathToFileURL(module).href] });
    await loader.next();
    const busyUntil = performance.now() + 2000;
    while (performance.now() < busyUntil); // computes, synchronously
    const start = performance.now();
    await loader.next();
    await loader.next();
    // Two batches would take 800 ms to read.
    expect(performance.now() - start).toBeLessThan(400);
  });

  it('say why when they cannot open the dataset', async () => {
    const module = join(newFolder(), 'faulty.mjs');
    writeFileSync(module, `throw new Error('This module is at fault.');`);
    const loader = train(trainingConfig(), {
      numWorkers: 1,
      datasetModules: [pathToFileURL(module).href],
    });
    await expect(loader.next()).rejects.toThrow('This module is at fault.');
    await expect(loader.next()).rejects.toThrow('This module is at fault.');
  });

  it('keep the process alive while a batch is awaited, and no longer', () => {
    const script = join(newFolder(), 'script.mjs');
    writeFileSync(
      script,
      `import { createTrainLoader } from ${JSON.stringify(pathToFileURL(join(DIST, 'loading/loader.js')).href)};
      const loader = createTrainLoader(${JSON.stringify(trainingConfig())}, { numWorkers: 2 });
      const batch = await loader.next();
      console.log(batch.names.length);`,
    );
    // Without an end of its own the process would run into the time limit; unreferenced too early it exits with 13.
    const output = execFileSync(process.execPath, [script], { encoding: 'utf8', timeout: 20_000 });
    expect(output).toBe('4\n');
  });
});
