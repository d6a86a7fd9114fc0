import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CAM_THRESHOLD_KEYS,
  CamAccumulator,
  dice,
  iou,
  SegDiceAccumulator,
} from '../../src/metrics/index.js';

const f32 = (...values: number[]) => Float32Array.from(values);
const u8 = (...values: number[]) => Uint8Array.from(values);

/** CAM values on and between the thresholds; masks of two classes and ignored pixels. */
const image = fc.integer({ min: 1, max: 40 }).chain((pixels) =>
  fc.record({
    cam: fc
      .array(
        fc.oneof(
          fc.integer({ min: 0, max: 20 }).map((k) => k / 20),
          fc.double({ min: 0, max: 1, noNaN: true }),
        ),
        {
          minLength: pixels,
          maxLength: pixels,
        },
      )
      .map((values) => Float32Array.from(values)),
    mask: fc
      .array(fc.constantFrom(0, 0, 1, 1, 2, 255), { minLength: pixels, maxLength: pixels })
      .map((values) => Uint8Array.from(values)),
  }),
);

/** One threshold at a time, straight from the definitions. */
function bruteForce(images: { cam: Float32Array; mask: Uint8Array }[], classIndex: number) {
  const scored = images.filter(({ mask }) => mask.includes(classIndex));
  const mean = (score: (cam: Float32Array, mask: Uint8Array) => number) =>
    scored.reduce((sum, { cam, mask }) => sum + score(cam, mask), 0) / scored.length;
  const overlap = (ratio: typeof dice, threshold: number) =>
    mean((cam, mask) => {
      const valid = [...mask.keys()].filter((i) => mask[i] !== 255);
      const predicted = valid.filter((i) => cam[i]! > Math.fround(threshold));
      const actual = valid.filter((i) => mask[i] === classIndex);
      const both = predicted.filter((i) => actual.includes(i));
      return ratio(both.length, predicted.length, actual.length)!;
    });
  const pointing = mean((cam, mask) => {
    const visible = [...cam].map((value, i) => (mask[i] === 255 ? -1 : value));
    return Number(mask[visible.indexOf(Math.max(...visible))] === classIndex);
  });
  const by = (ratio: typeof dice) =>
    Object.fromEntries(CAM_THRESHOLD_KEYS.map((key) => [key, overlap(ratio, Number(key))]));
  return { slices: scored.length, camDice: by(dice), camIou: by(iou), pointing };
}

describe('CAM thresholds', () => {
  it('are keyed 0.05 to 0.95 in steps of 0.05', () => {
    expect(CAM_THRESHOLD_KEYS).toHaveLength(19);
    expect(CAM_THRESHOLD_KEYS.slice(0, 3)).toEqual(['0.05', '0.10', '0.15']);
    expect(CAM_THRESHOLD_KEYS[18]).toBe('0.95');
  });

  it('are exceeded strictly, in float32', () => {
    const maps = new CamAccumulator();
    // float32 nearest to 0.15 against the same threshold: equal, so not above.
    maps.add(f32(0.15), u8(1));
    const { camDice } = maps.result();
    expect([camDice!['0.05'], camDice!['0.10'], camDice!['0.15'], camDice!['0.20']]).toEqual([1, 1, 0, 0]);
  });
});

describe('CamAccumulator', () => {
  it('scores a hand-made map', () => {
    const maps = new CamAccumulator();
    maps.add(f32(0.9, 0.6, 0.3, 0), u8(1, 0, 1, 0));
    const result = maps.result();
    expect(result.camDice!['0.25']).toBeCloseTo((2 * 2) / (3 + 2), 15);
    expect(result.camIou!['0.25']).toBeCloseTo(2 / 3, 15);
    expect(result.camDice!['0.50']).toBeCloseTo((2 * 1) / (2 + 2), 15);
    expect(result.camDice!['0.65']).toBeCloseTo(2 / 3, 15);
    expect(result.camDice!['0.95']).toBe(0);
    // 0.05 to 0.25 share the highest Dice; the lowest is named.
    expect(result.best).toEqual({ threshold: '0.05', dice: 0.8 });
    expect(result).toMatchObject({ slices: 1, emptyMasks: 0, pointingGame: 1, reasons: {} });
  });

  it('equals brute force over several images', () => {
    fc.assert(
      fc.property(
        fc.array(image, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(1, 2),
        (images, classIndex) => {
          const maps = new CamAccumulator();
          for (const { cam, mask } of images) maps.add(cam, mask, classIndex);
          const result = maps.result();
          const expected = bruteForce(images, classIndex);
          expect(result.slices).toBe(expected.slices);
          expect(result.emptyMasks).toBe(images.length - expected.slices);
          if (expected.slices === 0) return;
          for (const key of CAM_THRESHOLD_KEYS) {
            expect(result.camDice![key]).toBeCloseTo(expected.camDice[key]!, 12);
            expect(result.camIou![key]).toBeCloseTo(expected.camIou[key]!, 12);
          }
          expect(result.pointingGame).toBeCloseTo(expected.pointing, 12);
          expect(result.best!.dice).toBe(Math.max(...Object.values(result.camDice!)));
        },
      ),
    );
  });

  it('points with the first of equal maxima, and never into ignored pixels', () => {
    const points = (cam: Float32Array, mask: Uint8Array) => {
      const maps = new CamAccumulator();
      maps.add(cam, mask);
      return maps.result().pointingGame;
    };
    expect(points(f32(1, 1, 0), u8(1, 0, 0))).toBe(1);
    expect(points(f32(1, 1, 0), u8(0, 1, 0))).toBe(0);
    expect(points(f32(1, 0.5, 0), u8(255, 1, 0))).toBe(1);
    expect(points(f32(NaN, NaN), u8(1, 0))).toBe(0);
  });

  it('counts values outside 0..1 and NaN as far above, or not at all', () => {
    const maps = new CamAccumulator();
    maps.add(f32(7, -3, NaN, Infinity), u8(1, 0, 0, 1));
    expect(new Set(Object.values(maps.result().camDice!))).toEqual(new Set([1]));
  });

  it('gives null with a reason without a positive slice, and leaves empty masks out', () => {
    const maps = new CamAccumulator();
    expect(maps.result()).toMatchObject({ camDice: null, camIou: null, best: null, pointingGame: null });
    expect(maps.result().reasons.camDice).toBe('there is no positive image with a mask');
    maps.add(f32(0.9), u8(0));
    expect(maps.result().reasons.pointingGame).toContain('none of the 1 positive images');
    maps.add(f32(0.9), u8(1));
    expect(maps.result()).toMatchObject({ slices: 1, emptyMasks: 1, pointingGame: 1 });
  });

  it('refuses a map of another size', () => {
    expect(() => new CamAccumulator().add(f32(1, 0), u8(1))).toThrow('cam as in the mask (1) but received 2');
  });
});

describe('overlap', () => {
  it('lies in 0..1, and Dice is 2 IoU / (1 + IoU)', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(50), fc.nat(50), (both, onlyPredicted, onlyActual) => {
        const d = dice(both, both + onlyPredicted, both + onlyActual);
        const j = iou(both, both + onlyPredicted, both + onlyActual);
        if (both + onlyPredicted + onlyActual === 0) return expect([d, j]).toEqual([null, null]);
        expect(d).toBeGreaterThanOrEqual(0);
        expect(d).toBeLessThanOrEqual(1);
        expect(d).toBeCloseTo((2 * j!) / (1 + j!), 12);
      }),
    );
  });
});

describe('SegDiceAccumulator', () => {
  it('means Dice over positive slices', () => {
    const seg = new SegDiceAccumulator();
    seg.add(u8(1, 1, 0, 1), u8(1, 0, 0, 255)); // 2*1 / (2+1); the ignored pixel counts nowhere
    seg.add(u8(0, 0), u8(1, 0)); // nothing found
    seg.add(u8(1, 0), u8(0, 0)); // no object: left out
    expect(seg.result()).toEqual({ slices: 2, emptyMasks: 1, segDice: 1 / 3, reasons: {} });
  });

  it('equals the CAM Dice of a map that is 0 or 1', () => {
    fc.assert(
      fc.property(image, ({ cam, mask }) => {
        const labels = Uint8Array.from(cam, (value) => Number(value > 0.5));
        const seg = new SegDiceAccumulator();
        seg.add(labels, mask);
        const maps = new CamAccumulator();
        maps.add(Float32Array.from(labels), mask);
        expect(seg.result().segDice).toBe(maps.result().camDice?.['0.50'] ?? null);
      }),
    );
  });

  it('gives null with a reason without a positive slice', () => {
    expect(new SegDiceAccumulator().result().segDice).toBeNull();
    expect(new SegDiceAccumulator().result().reasons.segDice).toMatch(/no positive image/);
    expect(() => new SegDiceAccumulator().add(u8(1), u8(1, 0))).toThrow('prediction as in the mask (2)');
  });
});
