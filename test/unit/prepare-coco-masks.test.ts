import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coveredArea, paintMask } from '../../src/prepare/coco-mask.js';
import { polygonRanges } from '../../src/prepare/coco-polygon.js';
import { type PixelRanges, rleRanges, unpackCounts } from '../../src/prepare/coco-rle.js';
import { checkSegmentation, segmentationRanges } from '../../src/prepare/coco-segmentation.js';
import { findPython, runPython } from '../oracles/python.js';

/** Run lengths from the pixels, the first of 0: what any encoder gives for these ranges. */
function runsOf(ranges: PixelRanges, height: number, width: number): number[] {
  const pixels = new Uint8Array(height * width);
  for (const [start, end] of ranges) pixels.fill(1, start, end);
  const runs: number[] = [];
  let start = 0;
  for (let i = 0, value = 0; i <= pixels.length; i++) {
    if (i < pixels.length && pixels[i] === value) continue;
    runs.push(i - start);
    start = i;
    value = 1 - value;
  }
  return runs;
}

/** By pycocotools 2.0.11: `encode(decode(frPyObjects([xy], h, w)[0]))['counts']`, in its packed form. */
const POLYGONS: { name: string; h: number; w: number; xy: number[]; packed: string }[] = [
  { name: 'a square on pixel borders', h: 10, w: 12, xy: [2, 3, 7, 3, 7, 8, 2, 8], packed: 'g0550000000_1' },
  {
    name: 'a square between pixels',
    h: 10,
    w: 12,
    xy: [2.5, 3.5, 7.5, 3.5, 7.5, 8.5, 2.5, 8.5],
    packed: 'R1550000000T1',
  },
  {
    name: 'a triangle',
    h: 20,
    w: 17,
    xy: [3.3, 2.1, 14.9, 9.7, 5.2, 17.8],
    packed: 'n11d08H4K01N1O2N2N101N2N1OP1',
  },
  { name: 'a thin sliver', h: 9, w: 30, xy: [1, 4, 28.7, 4.4, 28.7, 4.6], packed: 'l61800000005' },
  {
    name: 'a star that crosses itself',
    h: 30,
    w: 30,
    xy: [15, 1, 22.5, 28, 1.5, 10, 28.5, 10, 7.5, 28],
    packed: 'V21m01O001O1O1O1@L45GN:2C0>ME3d0NDONO041J060J33LO`02FNF2:2A0>0DO;0JM52<O1O100O1Oc1',
  },
  {
    name: 'a polygon across the upper left corner',
    h: 16,
    w: 16,
    xy: [-5.5, 4.25, 8.1, -3.4, 9.9, 9.9],
    packed: '15:2O001O00001O0006Ki2',
  },
  {
    name: 'a polygon beyond the lower right corner',
    h: 16,
    w: 16,
    xy: [10.2, 9.7, 25, 12, 14.4, 30],
    packed: 'Z51?5K000001O',
  },
  {
    name: 'a repeated corner',
    h: 12,
    w: 12,
    xy: [2, 2, 2, 2, 9.6, 3.3, 6.1, 10.4, 6.1, 10.4],
    packed: 'j01;2N2O1N1ON2N2Ng0',
  },
  { name: 'a column of one pixel', h: 8, w: 8, xy: [3, 0, 4, 0, 4, 8, 3, 8], packed: 'h08P1' },
  { name: 'an outline without an inside', h: 8, w: 8, xy: [3, 3, 3, 3, 3, 3], packed: 'P2' },
  { name: 'the whole image', h: 5, w: 7, xy: [0, 0, 7, 0, 7, 5, 0, 5], packed: '0S1' },
];

describe('polygons', () => {
  it.each(POLYGONS)('fills $name as pycocotools does', ({ h, w, xy, packed }) => {
    const runs = runsOf(polygonRanges(xy, h, w), h, w);
    // Encoders drop an empty last run.
    if (runs.at(-1) === 0) runs.pop();
    expect(runs).toEqual(unpackCounts(packed));
  });

  it('does not depend on the direction in which the outline is walked', () => {
    const coordinate = fc.double({ min: 0, max: 40, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(coordinate, coordinate), { minLength: 3, maxLength: 9 }), (corners) => {
        const there = polygonRanges(corners.flat(), 32, 37);
        const back = polygonRanges(corners.toReversed().flat(), 32, 37);
        expect(runsOf(back, 32, 37)).toEqual(runsOf(there, 32, 37));
      }),
    );
  });

  it('covers every pixel of a polygon around the image', () => {
    expect(coveredArea([polygonRanges([-9, -9, 99, -9, 99, 99, -9, 99], 7, 5)])).toBe(35);
  });

  const python = findPython(['pycocotools', 'numpy']);
  it.skipIf(!python)('agrees with the pycocotools at hand on random polygons', () => {
    const code = `
import json, sys, numpy as np
from pycocotools import mask as M
rng = np.random.default_rng(7)
cases = []
for i in range(500):
    h, w = (int(v) for v in rng.integers(1, 60, 2))
    xy = (rng.uniform(-0.2, 1.2, (int(rng.integers(3, 10)), 2)) * [w, h])
    if i % 3 == 0: xy = np.round(xy)
    xy = xy.ravel().tolist()
    mask = np.asfortranarray(M.decode(M.frPyObjects([xy], h, w)[0]))
    cases.append([h, w, xy, M.encode(mask)['counts'].decode()])
print(json.dumps(cases))`;
    const cases = JSON.parse(runPython(python!, code)) as [number, number, number[], string][];
    for (const [h, w, xy, packed] of cases) {
      const runs = runsOf(polygonRanges(xy, h, w), h, w);
      if (runs.at(-1) === 0) runs.pop();
      expect(runs, JSON.stringify({ h, w, xy })).toEqual(unpackCounts(packed));
    }
  });
});

describe('run lengths', () => {
  it('unpacks what pycocotools packs', () => {
    expect(unpackCounts('<')).toEqual([12]);
    expect(unpackCounts('0<')).toEqual([0, 12]);
    expect(unpackCounts('516')).toEqual([5, 1, 6]);
    expect(unpackCounts('PeQ33V2R2kMklT9')).toEqual([100000, 3, 70, 69, 1, 300000]);
  });

  /** Packs by the rule that `unpackCounts` describes; only here, to go there and back. */
  function pack(counts: readonly number[]): string {
    let text = '';
    for (const [i, count] of counts.entries()) {
      let value = i > 2 ? count - counts[i - 2]! : count;
      for (let more = true; more; ) {
        const bits = value & 0x1f;
        value >>= 5;
        more = bits & 0x10 ? value !== -1 : value !== 0;
        text += String.fromCharCode(48 + (more ? bits | 0x20 : bits));
      }
    }
    return text;
  }

  it('unpacks any counts', () => {
    const counts = fc.array(fc.nat({ max: 4_000_000 }), { maxLength: 40 });
    fc.assert(
      fc.property(counts, (runs) => {
        expect(unpackCounts(pack(runs))).toEqual(runs);
      }),
    );
  });

  it('reads lists and text alike, down the columns', () => {
    const counts = [1, 2, 3, 4, 2];
    const ranges = [
      [1, 3],
      [6, 10],
    ];
    expect(rleRanges({ size: [4, 3], counts }, 4, 3)).toEqual(ranges);
    expect(rleRanges({ size: [4, 3], counts: pack(counts) }, 4, 3)).toEqual(ranges);
  });

  it.each([
    [{ size: [4, 3], counts: [1, 2] }, /fill 3 of 12 pixels/],
    [{ size: [4, 3], counts: [20] }, /fill 20 of 12/],
    [{ size: [3, 4], counts: [12] }, /size \[3,4\] in an image of 4 x 3/],
    [{ size: [4, 3], counts: [13, -1] }, /no run lengths/],
    [{ size: [4, 3], counts: [1.5, 10.5] }, /no run lengths/],
    [{ size: [4, 3], counts: '!!' }, /damaged at character 1/],
    [{ size: [4, 3], counts: 'P' }, /damaged at character 2/],
    [{ counts: [12] }, /size undefined/],
    [{ size: [4, 3] }, /neither polygons nor RLE/],
    [null, /neither polygons nor RLE/],
    [[], /no polygon/],
    [[[1, 2, 3, 4, 5, 6, 7]], /7 numbers, an odd count/],
    [[[1, 2, 3, 4]], /4 numbers, fewer than 6/],
    [[[1, 2, 3, 4, 5, -1e300]], /a corner at -1e\+300/],
    [[[1, 2, 3, 4, 5, null]], /no list of numbers/],
    [[1, 2, 3, 4, 5, 6], /no list of numbers/],
  ])('refuses %j', (segmentation, message) => {
    expect(() => checkSegmentation(segmentation, 4, 3)).toThrow(message);
  });
});

describe('masks', () => {
  const square = (x: number, y: number, size: number): PixelRanges[] =>
    segmentationRanges([[x, y, x + size, y, x + size, y + size, x, y + size]], 6, 6);
  const object = (label: number, ranges: PixelRanges[], crowd = false) => ({
    label,
    ranges,
    area: coveredArea(ranges),
    crowd,
  });

  it('shows smaller objects over larger ones, whatever their order', () => {
    const [large, small] = [object(3, square(0, 0, 5)), object(7, square(1, 1, 2))];
    for (const objects of [
      [large, small],
      [small, large],
    ]) {
      const mask = paintMask(objects, 6, 6);
      expect(Array.from(mask.subarray(6, 12))).toEqual([3, 7, 7, 3, 3, 0]);
    }
  });

  it('shows the earlier of two equal objects, as coco2voc does', () => {
    expect(paintMask([object(3, square(0, 0, 2)), object(4, square(0, 0, 2))], 6, 6)[0]).toBe(3);
  });

  it('ignores crowds, but not the objects in them', () => {
    const mask = paintMask([object(1, square(0, 0, 6)), object(2, square(0, 0, 3), true)], 6, 6);
    expect([...new Set(mask)]).toEqual([1]);
    const sparse = paintMask([object(2, square(0, 0, 6), true), object(1, square(2, 0, 2))], 6, 6);
    expect(Array.from(sparse.subarray(0, 6))).toEqual([255, 255, 1, 1, 255, 255]);
  });
});
