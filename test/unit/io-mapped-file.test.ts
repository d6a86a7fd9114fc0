/** Memory-mapped .npy files (dataset.mmap) against the same files read. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { useByteSource } from '../../src/io/file-bytes.js';
import { mapFiles } from '../../src/io/mapped-file.js';
import { type NpyArray, readNpy, writeNpy } from '../../src/io/npy.js';
import { createEvalLoader, createTrainLoader } from '../../src/loading/loader.js';
import { caught } from '../native/support.js';
import { configFor, newFolder, writeSlices } from './slice-folders.js';

const folder = mkdtempSync(join(tmpdir(), 'afa-mapped-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => useByteSource());

const ARRAYS: NpyArray[] = [
  { dtype: 'uint8', shape: [2, 3], data: Uint8Array.of(0, 1, 2, 253, 254, 255) },
  { dtype: 'int16', shape: [3], data: Int16Array.of(-300, 0, 300) },
  { dtype: 'float32', shape: [1, 2, 2], data: Float32Array.of(0.5, -1.25, 1e30, 0) },
  { dtype: 'float64', shape: [2], data: Float64Array.of(Math.PI, -0) },
];

describe.skipIf(process.platform === 'win32')('a mapped file', () => {
  it.each(ARRAYS.map((array) => [array.dtype, array] as const))(
    'gives what reading gives: %s',
    (dtype, array) => {
      const path = join(folder, `${dtype}.npy`);
      writeNpy(path, array);
      mapFiles();
      expect(readNpy(path)).toEqual(array);
    },
  );

  it.each([
    ['missing', undefined],
    ['empty', 0],
    ['cut in its header', 20],
    ['cut in its data', 130],
  ])('that is %s is refused in the same words', (what, bytes) => {
    const path = join(folder, `${what}.npy`);
    if (bytes !== undefined) {
      writeNpy(path, ARRAYS[0]!);
      truncateSync(path, bytes);
    }
    const read = caught(() => readNpy(path)) as Error;
    mapFiles();
    const mapped = caught(() => readNpy(path)) as Error;
    expect([mapped.name, mapped.message]).toEqual([read.name, read.message]);
  });

  it('is let go as soon as its array is there', async () => {
    const path = join(folder, 'let-go.npy');
    writeNpy(path, ARRAYS[0]!);
    mapFiles();
    for (let i = 0; i < 50; i++) readNpy(path);
    await setImmediate();
    await setImmediate();
    if (process.platform === 'linux')
      expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain('let-go.npy');
    // What was read is not the file's memory.
    const before = readNpy(path);
    writeFileSync(path, '');
    expect(before).toEqual(ARRAYS[0]);
  });

  it.each([0, 2])('gives a loader the same batches, with %i workers', async (numWorkers) => {
    const rootDir = newFolder();
    writeSlices(rootDir, 12, 80, 72);
    const batches = async (mmap: boolean) => {
      const settings = { 'dataset.slice_split': [0, 4], 'dataset.crop_size': 64, 'train.samples_per_gpu': 4 };
      const config = configFor(rootDir, { ...settings, 'dataset.mmap': mmap });
      const train = createTrainLoader(config, { numWorkers });
      const val = createEvalLoader(config, 'val', { numWorkers });
      try {
        return [await train.next(), await train.next(), await val.next()];
      } finally {
        await Promise.all([train.close(), val.close()]);
      }
    };
    expect(await batches(true)).toEqual(await batches(false));
  });
});
