/** Folders of slices for the tests of datasets and loaders. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { type NpyArray, writeNpy } from '../../src/io/npy.js';
import { hashSeed, Random } from '../../src/loading/random.js';

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A new `imageSlice` folder, removed with its parent when the test file ends. */
export function newFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), 'afa-slices-'));
  made.push(parent);
  const folder = join(parent, 'imageSlice');
  mkdirSync(folder);
  return folder;
}

/** A uint8 slice of random pixels that depend on `seed` only. */
export function slice(height: number, width: number, seed: number): NpyArray {
  const random = new Random(hashSeed(seed));
  const data = Uint8Array.from({ length: height * width }, () => random.below(256));
  return { dtype: 'uint8', shape: [height, width], data };
}

/** A square mask in the image's middle. */
export function mask(height: number, width: number, value = 1): NpyArray {
  const data = new Uint8Array(height * width);
  for (let y = height >> 2; y < height >> 1; y++)
    data.fill(value, y * width + (width >> 2), y * width + (width >> 1));
  return { dtype: 'uint8', shape: [height, width], data };
}

/** Writes a mask beside an `imageSlice` folder. */
export function writeMask(rootDir: string, name: string, array: NpyArray): string {
  const folder = join(dirname(rootDir), 'masks');
  mkdirSync(folder, { recursive: true });
  writeNpy(join(folder, name), array);
  return join(folder, name);
}

/** `count` slices P_000_{label}.npy ..., labels 0, 1, 0, 1 ..., of the given size. */
export function writeSlices(rootDir: string, count: number, height = 40, width = 48): string[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `P_${String(i).padStart(3, '0')}_${i % 2}.npy`;
    writeNpy(join(rootDir, name), slice(height, width, i));
    return name;
  });
}

/** The shipped LASC configuration with other values. */
export function configFor(rootDir: string, settings: Record<string, unknown> = {}): Config {
  const file = fileURLToPath(new URL('../../configs/lasc_attn_reg.yaml', import.meta.url));
  const values = {
    'dataset.name': 'lasc',
    'dataset.root_dir': rootDir,
    'dataset.crop_size': 64,
    ...settings,
  };
  const set = Object.entries(values).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return loadConfig({ file, set }).config;
}
