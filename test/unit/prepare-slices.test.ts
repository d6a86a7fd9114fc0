import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Affine, gridDisplacement, orientationCode } from '../../src/prepare/affine.js';
import { applyWindow, parseWindow, resolveWindow } from '../../src/prepare/intensity-window.js';
import type { NiftiHeader } from '../../src/prepare/nifti-file.js';
import { type SliceAxis, sliceGeometry, takeSlice } from '../../src/prepare/slice-geometry.js';
import { judgeSlice, parseEmptyPolicy } from '../../src/prepare/slice-selection.js';
import { suggestSliceSplit } from '../../src/prepare/split.js';
import { VOXEL_TYPES } from '../../src/prepare/voxel-types.js';

function header(
  dims: [number, number, number],
  spacing: [number, number, number],
  affine: Affine,
): NiftiHeader {
  return {
    path: 'test.nii',
    dims,
    channels: 1,
    spacing,
    affine,
    affineFrom: 'sform',
    type: VOXEL_TYPES.get(16)!,
    littleEndian: true,
    dataOffset: 352,
    slope: 1,
    intercept: 0,
  };
}

/** A body of 3 x 4 x 5 mm positions (x right, y anterior, z superior) stored in any of the 48 orientations. */
const WORLD = [3, 4, 5] as const;
function stored(
  order: readonly number[],
  flips: readonly boolean[],
): { header: NiftiHeader; volume: Float32Array } {
  const dims = order.map((world) => WORLD[world]!) as [number, number, number];
  const affine = [0, 1, 2].map((world) => {
    const axis = order.indexOf(world);
    const row = [0, 0, 0, flips[axis] ? WORLD[world]! - 1 : 0];
    row[axis] = flips[axis] ? -1 : 1;
    return row;
  });
  const volume = new Float32Array(60);
  for (let k = 0, i = 0; k < dims[2]; k++) {
    for (let j = 0; j < dims[1]; j++) {
      for (let x = 0; x < dims[0]; x++) {
        const [wx, wy, wz] = affine.map((row) => row[0]! * x + row[1]! * j + row[2]! * k + row[3]!);
        volume[i++] = 100 * wx! + 10 * wy! + wz!;
      }
    }
  }
  return { header: header(dims, [1, 1, 1], affine), volume };
}

function slice(source: ReturnType<typeof stored>, axis: SliceAxis, index: number): number[][] {
  const geometry = sliceGeometry(source.header, axis);
  const out = new Float32Array(geometry.rows.size * geometry.columns.size);
  takeSlice(source.volume, geometry, index, out);
  return Array.from({ length: geometry.rows.size }, (_, r) => [
    ...out.subarray(r * geometry.columns.size, (r + 1) * geometry.columns.size),
  ]);
}

describe('slices', () => {
  it('look the same however the volume is stored: right at the left, anterior or superior at the top', () => {
    const orders = fc.constantFrom([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]);
    fc.assert(
      fc.property(orders, fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()), (order, flips) => {
        const source = stored(order, flips);
        // Values are 100 x + 10 y + z of the position in the body.
        expect(slice(source, 'axial', 1)).toEqual([
          [231, 131, 31],
          [221, 121, 21],
          [211, 111, 11],
          [201, 101, 1],
        ]);
        expect(slice(source, 'coronal', 2)).toEqual([4, 3, 2, 1, 0].map((z) => [220 + z, 120 + z, 20 + z]));
        expect(slice(source, 'sagittal', 0)).toEqual([4, 3, 2, 1, 0].map((z) => [30 + z, 20 + z, 10 + z, z]));
      }),
    );
  });

  it('along x, y and z are as stored', () => {
    const source = stored([2, 0, 1], [true, false, true]);
    const [ni, nj, nk] = source.header.dims;
    const value = (i: number, j: number, k: number) => source.volume[i + ni * (j + nj * k)];
    const grid = (rows: number, columns: number, at: (r: number, c: number) => number | undefined) =>
      Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => at(r, c)));
    expect(slice(source, 'x', 4)).toEqual(grid(nk, nj, (r, c) => value(4, c, r)));
    expect(slice(source, 'y', 1)).toEqual(grid(nk, ni, (r, c) => value(c, 1, r)));
    expect(slice(source, 'z', 3)).toEqual(grid(nj, ni, (r, c) => value(c, r, 3)));
  });

  it('of an oblique volume follow its nearest axes and keep its spacing', () => {
    const angle = 0.5;
    const oblique = [
      [0, 2 * Math.cos(angle), -3 * Math.sin(angle), 0],
      [-1, 0, 0, 0],
      [0, 2 * Math.sin(angle), 3 * Math.cos(angle), 0],
    ];
    expect(orientationCode(oblique)).toBe('PRS');
    const { slices, rows, columns } = sliceGeometry(header([7, 8, 9], [1, 2, 3], oblique), 'axial');
    expect(
      [slices, rows, columns].map((axis) => [axis.voxelAxis, axis.reversed, axis.size, axis.spacing]),
    ).toEqual([
      [2, false, 9, 3],
      [0, false, 7, 1],
      [1, true, 8, 2],
    ]);
  });

  it('of a volume with a singular affine need a stored axis', () => {
    const broken = header(
      [2, 2, 2],
      [1, 1, 1],
      [
        [1, 1, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ],
    );
    expect(() => sliceGeometry(broken, 'axial')).toThrow(
      /test.nii but received a singular one.*--axis x, y or z/,
    );
    expect(sliceGeometry(broken, 'z').slices.size).toBe(2);
    expect(orientationCode(broken.affine)).toBe('???');
  });
});

describe('the displacement of two grids', () => {
  it('is that of the corner which moves most, in mm', () => {
    const unit = [
      [1, 0, 0, 0],
      [0, 1, 0, 0],
      [0, 0, 1, 0],
    ];
    const stretched = [
      [1, 0, 0, 3],
      [0, 1.5, 0, 0],
      [0, 0, 1, 0],
    ];
    expect(gridDisplacement(unit, unit, [5, 9, 3])).toBe(0);
    // 3 mm along x, and half a millimetre for each of 8 steps along y.
    expect(gridDisplacement(unit, stretched, [5, 9, 3])).toBe(5);
    expect(gridDisplacement(unit, [[Number.NaN, 0, 0, 0], ...unit.slice(1)], [5, 9, 3])).toBeNaN();
  });
});

describe('intensity windows', () => {
  it('by percentiles are exact order statistics of the voxels that are neither 0 nor NaN', () => {
    const voxel = fc.oneof(
      fc.float(),
      fc.constantFrom(0, -0, Number.NaN, 1, 2, 3),
      fc.float({ min: -2, max: 2 }),
    );
    fc.assert(
      fc.property(fc.array(voxel, { minLength: 1 }), fc.integer({ min: 0, max: 98 }), (list, low) => {
        const high = low + 2;
        const sorted = list.filter((v) => v !== 0 && !Number.isNaN(v)).sort((a, b) => a - b);
        const rank = (p: number) => sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)]!;
        const rule = { kind: 'percentile', low, high } as const;
        const resolve = () => resolveWindow(Float32Array.from(list), rule, 'x.nii');
        if (sorted.length === 0) expect(resolve).toThrow('for x.nii but received a volume of zeros');
        else if (rank(low) < rank(high)) expect(resolve()).toEqual([rank(low), rank(high)]);
        else expect(resolve).toThrow(/varying intensities for x.nii.*--window low,high/);
      }),
    );
  });

  it('map their ends to 0 and 255, round, and saturate; NaN becomes 0', () => {
    const out = new Uint8Array(8);
    applyWindow(Float32Array.of(-100, -50, -49, 0, 205, 500, Number.NaN, 0.6), [-50, 205], out);
    expect([...out]).toEqual([0, 0, 1, 50, 255, 255, 0, 51]);
  });

  it('are read from text', () => {
    expect(parseWindow('p0.5,p99')).toEqual({ kind: 'percentile', low: 0.5, high: 99 });
    expect(parseWindow('-100, 400')).toEqual({ kind: 'intensity', low: -100, high: 400 });
    expect(resolveWindow(Float32Array.of(0), parseWindow('-1,2'), 'x')).toEqual([-1, 2]);
    for (const bad of ['', '5', '1,1', '4,2', 'p1,99', 'p-1,p99', 'p1,p101', 'a,b', '1,2,3', ',']) {
      expect(() => parseWindow(bad), bad).toThrow(/for --window but received string/);
    }
  });
});

describe('a slice', () => {
  const image = new Uint8Array(1000);
  image.fill(26, 0, 15);
  const rules = { minArea: 20, small: 'skip', empty: 'skip' } as const;
  it.each([
    ['positive from the least area on', 20, rules, 'positive'],
    ['small with less, but some', 19, rules, 'small'],
    ['negative with less, where asked', 19, { ...rules, small: 'negative' }, 'negative'],
    ['positive with any, where asked', 1, { ...rules, small: 'positive' }, 'positive'],
    ['negative with tissue in 1 % of its pixels', 0, rules, 'negative'],
    ['empty with less tissue than asked', 0, { ...rules, empty: 16 }, 'empty'],
    ['negative with just enough', 0, { ...rules, empty: 15 }, 'negative'],
    ['never empty when all are kept', 0, { ...rules, empty: 'keep' }, 'negative'],
    ['never empty when it is positive', 20, { ...rules, empty: 1000 }, 'positive'],
  ] as const)('is %s', (_, area, selection, verdict) => {
    expect(judgeSlice(image, area, selection)).toBe(verdict);
  });

  it('is empty with tissue in less than 1 %; a tenth of the window is no tissue yet', () => {
    expect(judgeSlice(new Uint8Array(1000).fill(26, 0, 9), 0, rules)).toBe('empty');
    expect(judgeSlice(new Uint8Array(1000).fill(25), 0, rules)).toBe('empty');
  });

  it('has an empty policy that is read from text', () => {
    expect(['keep', 'skip', '0', '250'].map(parseEmptyPolicy)).toEqual(['keep', 'skip', 0, 250]);
    for (const bad of ['', '-1', '1.5', 'drop']) expect(() => parseEmptyPolicy(bad)).toThrow('for --empty');
  });
});

describe('the suggested split', () => {
  const list = (text: string) =>
    text
      .split(' ')
      .flatMap((labels, p) => [...labels].map((label) => ({ patient: `${p}`, positive: label === '1' })));

  it('lies between two patients, near a quarter of the slices', () => {
    const split = suggestSliceSplit(list('0101 01011 011 00110 01'))!;
    expect(split.sliceSplit).toEqual([0, 4]);
    expect(split.val).toEqual({ slices: 4, positives: 2, patients: 1 });
    expect(split.train).toEqual({ slices: 15, positives: 8, patients: 4 });
    expect(split.caveats).toEqual([]);
  });

  it('never cuts through a patient, whatever the patients are', () => {
    const labels = fc
      .array(fc.constantFrom('0', '1'), { minLength: 1, maxLength: 6 })
      .map((bits) => bits.join(''));
    fc.assert(
      fc.property(fc.array(labels, { minLength: 2, maxLength: 8 }), (patients) => {
        const slices = list(patients.join(' '));
        const [start, cut] = suggestSliceSplit(slices)!.sliceSplit;
        expect(start).toBe(0);
        expect(slices[cut]!.patient).not.toBe(slices[cut - 1]!.patient);
      }),
    );
  });

  it('gives both parts both labels where it can, and says so where it cannot', () => {
    expect(suggestSliceSplit(list('000 111 010 101 001'))!.sliceSplit).toEqual([0, 6]);
    expect(suggestSliceSplit(list('000 000 111'))!.caveats).toEqual([
      'The validation part has no positive slice.',
    ]);
    expect(suggestSliceSplit(list('111 111'))!.caveats).toEqual([
      'The validation part has no negative slice.',
      'The training part has no negative slice.',
    ]);
  });

  it('of one patient leaves a quarter of the positives for validation and warns', () => {
    const { sliceSplit, caveats } = suggestSliceSplit(list('000011111111000'))!;
    expect(sliceSplit).toEqual([0, 6]);
    expect(caveats).toEqual([expect.stringContaining('Only one patient')]);
  });

  it('does not exist for less than two slices', () => {
    expect(suggestSliceSplit(list('1'))).toBeUndefined();
    expect(suggestSliceSplit([])).toBeUndefined();
  });
});
