import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generatePhantom } from '../../src/datasets/phantom.js';
import { readNpy } from '../../src/io/npy.js';

const work = mkdtempSync(join(tmpdir(), 'phantom-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const read = (dir: string, part: string, name: string) => readNpy(join(dir, part, name));
const names = (dir: string) => readdirSync(join(dir, 'imageSlice')).sort();

function digest(dir: string): string {
  const hash = createHash('sha256');
  for (const part of ['imageSlice', 'masks']) {
    for (const name of readdirSync(join(dir, part)).sort()) {
      hash.update(name).update(read(dir, part, name).data as Uint8Array);
    }
  }
  return hash.digest('hex');
}

describe('a phantom dataset', () => {
  const dir = join(work, 'full');
  beforeAll(() => {
    generatePhantom({ outDir: dir, seed: 1 });
  });

  it('has 20 patients of 24 uint8 slices of 96 x 96, in an order that keeps patients together', () => {
    const files = names(dir);
    expect(files).toHaveLength(480);
    files.forEach((file, i) => {
      const patient = String(Math.floor(i / 24)).padStart(3, '0');
      const slice = String(i % 24).padStart(2, '0');
      expect(file).toMatch(new RegExp(`^LASC_${patient}_${slice}_[01]\\.npy$`));
    });
    const { dtype, shape } = read(dir, 'imageSlice', files[0]!);
    expect([dtype, shape]).toEqual(['uint8', [96, 96]]);
  });

  it('has a mask of 0 and 1 for each slice, filled exactly where the label says so', () => {
    expect(readdirSync(join(dir, 'masks')).sort()).toEqual(names(dir));
    for (const name of names(dir)) {
      const { dtype, shape, data } = read(dir, 'masks', name);
      expect([dtype, shape]).toEqual(['uint8', [96, 96]]);
      const values = new Set(data as Uint8Array);
      expect([...values].every((v) => v === 0 || v === 1)).toBe(true);
      expect(values.has(1), name).toBe(name.endsWith('_1.npy'));
    }
  });

  // The expected numbers were measured on the reference phantom set (480 slices), with room for sampling.
  it('is as hard as the reference set: prevalence 0.59, area 377, contrast 61, intensities 43 +- 40', () => {
    let positives = 0;
    let area = 0;
    let contrast = 0;
    let sum = 0;
    let squares = 0;
    for (const name of names(dir)) {
      const image = read(dir, 'imageSlice', name).data as Uint8Array;
      const mask = read(dir, 'masks', name).data as Uint8Array;
      for (const v of image) {
        sum += v;
        squares += v * v;
      }
      if (!name.endsWith('_1.npy')) continue;
      positives++;
      area += mask.reduce((a, b) => a + b, 0);
      contrast += meanWithin(image, mask, -99, -2) - meanWithin(image, mask, 2, 5);
    }
    const pixels = 480 * 96 * 96;
    expect(Math.abs(positives / 480 - 0.59)).toBeLessThan(0.08);
    expect(Math.abs(area / positives - 377)).toBeLessThan(45);
    expect(Math.abs(contrast / positives - 61)).toBeLessThan(10);
    expect(Math.abs(sum / pixels - 43)).toBeLessThan(7);
    expect(Math.abs(Math.sqrt(squares / pixels - (sum / pixels) ** 2) - 40)).toBeLessThan(6);
  });

  it('shows rings and dots as bright as a lesion also where there is none', () => {
    const brightest = (name: string) => Math.max(...(read(dir, 'imageSlice', name).data as Uint8Array));
    const negatives = names(dir)
      .filter((name) => name.endsWith('_0.npy'))
      .map(brightest);
    const positives = names(dir)
      .filter((name) => name.endsWith('_1.npy'))
      .map(brightest);
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    // On the reference set the brightest pixel averages 202 without and 199 with a lesion.
    expect(mean(negatives)).toBeGreaterThan(0.93 * mean(positives));
  });
});

/** Mean over pixels whose signed city-block distance from the mask's rim (negative inside) is in [from, to]. */
function meanWithin(image: Uint8Array, mask: Uint8Array, from: number, to: number): number {
  const depth = (inside: boolean): Uint8Array => {
    let front = Uint8Array.from(mask, (v) => Number((v === 1) === inside));
    const steps = front.slice();
    for (let k = 0; k < 5; k++) {
      front = front.map((v, i) => {
        const x = i % 96;
        return (
          v &
          (front[i - 96] ?? 1) &
          (front[i + 96] ?? 1) &
          (x > 0 ? front[i - 1]! : 1) &
          (x < 95 ? front[i + 1]! : 1)
        );
      });
      for (let i = 0; i < steps.length; i++) steps[i]! += front[i]!;
    }
    return steps;
  };
  const inner = depth(true);
  const outer = depth(false);
  let sum = 0;
  let count = 0;
  for (let i = 0; i < image.length; i++) {
    const distance = mask[i] === 1 ? -inner[i]! : outer[i]!;
    if (distance < from || distance > to) continue;
    sum += image[i]!;
    count++;
  }
  return sum / count;
}

describe('the generator', () => {
  const small = { patients: 2, slices: 3, size: 64 };

  it('gives the same bytes for the same seed, on every machine, and others for another', () => {
    for (const [outDir, seed] of [
      ['a', 7],
      ['b', 7],
      ['c', 8],
    ] as const) {
      generatePhantom({ outDir: join(work, outDir), seed, ...small });
    }
    expect(digest(join(work, 'b'))).toBe(digest(join(work, 'a')));
    expect(digest(join(work, 'c'))).not.toBe(digest(join(work, 'a')));
    // Recorded from the first version: a change of the drawing changes published scores, and must be meant.
    expect(digest(join(work, 'a'))).toBe('e4c84062b9ca6b98684de9576bf0cc9167feff07a2d35cbff104682fd7841685');
  });

  it('leaves the first patients as they are when there are more', () => {
    generatePhantom({ outDir: join(work, 'more'), seed: 7, ...small, patients: 4 });
    const first = names(join(work, 'a'));
    expect(names(join(work, 'more')).slice(0, 6)).toEqual(first);
    for (const name of first) {
      expect(read(join(work, 'more'), 'imageSlice', name).data).toEqual(
        read(join(work, 'a'), 'imageSlice', name).data,
      );
    }
  });

  it('gives each patient of two slices or more a positive and a negative', () => {
    const { slices } = generatePhantom({ outDir: join(work, 'pairs'), patients: 40, slices: 2, size: 32 });
    for (let p = 0; p < 40; p++) {
      expect(slices[2 * p]!.patient).toBe(slices[2 * p + 1]!.patient);
      expect(slices[2 * p]!.positive).not.toBe(slices[2 * p + 1]!.positive);
    }
  });

  it('refuses a filled folder and says what to do; --overwrite replaces it', () => {
    const outDir = join(work, 'twice');
    generatePhantom({ outDir, seed: 1, ...small });
    expect(() => generatePhantom({ outDir, seed: 2, ...small })).toThrow(/twice.*Add --overwrite/);
    generatePhantom({ outDir, seed: 2, ...small, patients: 1, overwrite: true });
    expect(names(outDir)).toHaveLength(3);
    expect(existsSync(join(outDir, '.partial'))).toBe(false);
    expect(JSON.parse(readFileSync(join(outDir, 'dataset.json'), 'utf8'))).toMatchObject({
      source: 'phantom',
      seed: 2,
    });
  });

  it('says at once when the folder cannot be made', () => {
    writeFileSync(join(work, 'file'), '');
    expect(() => generatePhantom({ outDir: join(work, 'file', 'data') })).toThrow(
      /Cannot write .*a part of this path is a file/,
    );
  });

  it.each([
    ['seed', -1],
    ['patients', 0],
    ['slices', 1.5],
    ['size', 16],
  ])('refuses %s %d and leaves nothing behind', (option, value) => {
    const outDir = join(work, 'refused');
    expect(() => generatePhantom({ outDir, [option]: value })).toThrow(
      `for ${option} but received number ${value}`,
    );
    expect(existsSync(outDir)).toBe(false);
  });
});
