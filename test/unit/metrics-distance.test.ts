import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { distanceTransform, hausdorff95, type PixelSpacing } from '../../src/metrics/index.js';
import { findPython, runPython } from '../oracles/python.js';

/** Two regions on one grid: sparse, dense and empty ones. */
const pair = fc
  .record({
    height: fc.integer({ min: 1, max: 9 }),
    width: fc.integer({ min: 1, max: 9 }),
    spacing: fc.constantFrom<PixelSpacing>([1, 1], [0.5, 2], [1.25, 1.25], [3, 1]),
    fill: fc.constantFrom(2, 6, 9),
  })
  .chain(({ height, width, spacing, fill }) => {
    const size = { minLength: height * width, maxLength: height * width };
    const region = fc
      .array(fc.integer({ min: 0, max: 9 }), size)
      .map((list) => Uint8Array.from(list, (value) => Number(value < fill)));
    return fc.record({
      a: region,
      b: region,
      height: fc.constant(height),
      width: fc.constant(width),
      spacing: fc.constant(spacing),
    });
  });

function distance(i: number, j: number, width: number, [dy, dx]: PixelSpacing): number {
  return Math.hypot(dy * (Math.floor(i / width) - Math.floor(j / width)), dx * ((i % width) - (j % width)));
}

const pixelsOf = (region: Uint8Array) => [...region.keys()].filter((i) => region[i] === 1);

function bruteBorder(region: Uint8Array, height: number, width: number): number[] {
  const inside = (y: number, x: number) =>
    y >= 0 && y < height && x >= 0 && x < width && region[y * width + x] === 1;
  return pixelsOf(region).filter((i) => {
    const [y, x] = [Math.floor(i / width), i % width];
    return !(inside(y - 1, x) && inside(y + 1, x) && inside(y, x - 1) && inside(y, x + 1));
  });
}

/** numpy's percentile by its definition. */
function percentile95(values: number[]): number {
  const sorted = values.toSorted((x, y) => x - y);
  const at = 0.95 * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return low + (high - low) * (at % 1);
}

describe('distanceTransform', () => {
  it('equals looking at every pair of pixels', () => {
    fc.assert(
      fc.property(pair, ({ a, height, width, spacing }) => {
        const set = pixelsOf(a);
        const result = distanceTransform(a, height, width, spacing);
        for (let i = 0; i < a.length; i++) {
          const nearest = Math.min(...set.map((j) => distance(i, j, width, spacing)));
          if (set.length === 0) expect(result[i]).toBe(Infinity);
          else expect(result[i]).toBeCloseTo(nearest, 12);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('refuses another size and impossible spacing', () => {
    expect(() => distanceTransform([1, 0], 1, 3)).toThrow('1 x 3 pixels but received 2');
    expect(() => distanceTransform([1, 0], 1, 2, [0, 1])).toThrow('spacing but received 0, 1');
  });
});

describe('hausdorff95', () => {
  it('is the distance of two pixels, in pixels or millimetres', () => {
    const a = [1, 0, 0, 0, 0, 0, 0, 0];
    const b = [0, 0, 0, 0, 0, 0, 0, 1];
    expect(hausdorff95(a, b, 2, 4)).toBeCloseTo(Math.sqrt(10), 15);
    expect(hausdorff95(a, b, 2, 4, [4, 1])).toBe(5);
  });

  it('does not exist where a region is empty', () => {
    expect(hausdorff95([0, 0], [0, 1], 1, 2)).toBeNull();
    expect(hausdorff95([1, 0], [0, 0], 1, 2)).toBeNull();
    expect(hausdorff95([0, 0], [0, 0], 1, 2)).toBeNull();
  });

  it('equals brute force, is symmetric, scales with the spacing, and is 0 from a region to itself', () => {
    fc.assert(
      fc.property(pair, ({ a, b, height, width, spacing }) => {
        const result = hausdorff95(a, b, height, width, spacing);
        expect(hausdorff95(b, a, height, width, spacing)).toBe(result);
        const [borderA, borderB] = [bruteBorder(a, height, width), bruteBorder(b, height, width)];
        if (borderA.length > 0) expect(hausdorff95(a, a, height, width, spacing)).toBe(0);
        if (borderA.length === 0 || borderB.length === 0) {
          expect(result).toBeNull();
          return;
        }
        const directed = (from: number[], to: number[]) =>
          percentile95(from.map((i) => Math.min(...to.map((j) => distance(i, j, width, spacing)))));
        const expected = Math.max(directed(borderA, borderB), directed(borderB, borderA));
        expect(result).toBeCloseTo(expected, 12);
        const doubled: PixelSpacing = [2 * spacing[0], 2 * spacing[1]];
        expect(hausdorff95(a, b, height, width, doubled)).toBeCloseTo(2 * expected, 12);
      }),
      { numRuns: 300 },
    );
  });

  // scipy comes with scikit-learn. Borders by erosion, distances and percentile as MONAI computes them.
  const python = findPython(['scipy']);
  const ORACLE = `
import json, sys
import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt
out = []
for c in json.load(open(sys.argv[1])):
    a, b = (np.array(c[k], bool).reshape(c["height"], c["width"]) for k in "ab")
    edges = [m ^ binary_erosion(m) for m in (a, b)]
    d = [distance_transform_edt(~e, sampling=c["spacing"]) for e in edges]
    out.append(max(np.percentile(d[1][edges[0]], 95), np.percentile(d[0][edges[1]], 95)))
print(json.dumps(out))
`;
  it.skipIf(!python)('agrees with scipy on blobs of image size', () => {
    const blobs = Array.from({ length: 12 }, (_, k) => {
      const [height, width] = [70 + 3 * k, 90 - 2 * k];
      const blob = (cy: number, cx: number, radius: number) =>
        Array.from({ length: height * width }, (_, i) => {
          const [y, x] = [Math.floor(i / width) - cy, (i % width) - cx];
          return Number(Math.hypot(y, x) < radius * (1 + 0.3 * Math.sin(5 * Math.atan2(y, x) + k)));
        });
      const spacing: PixelSpacing = k % 2 ? [1, 1] : [0.7, 1.3];
      return { height, width, spacing, a: blob(30, 35, 9 + k), b: blob(25 + 2 * k, 40, 14) };
    });
    const folder = mkdtempSync(join(tmpdir(), 'metrics-'));
    try {
      writeFileSync(join(folder, 'cases.json'), JSON.stringify(blobs));
      const theirs: number[] = JSON.parse(runPython(python!, ORACLE, [join(folder, 'cases.json')]));
      expect(theirs).toHaveLength(blobs.length);
      for (const [k, { a, b, height, width, spacing }] of blobs.entries()) {
        expect(hausdorff95(a, b, height, width, spacing)).toBeCloseTo(theirs[k]!, 12);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
