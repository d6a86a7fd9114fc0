import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SegmentationAccumulator } from '../../src/metrics/index.js';

const CLASSES = 4;
const pixels = fc.array(
  fc.record({ truth: fc.constantFrom(0, 1, 2, 7, 255), predicted: fc.constantFrom(0, 1, 2, 3, 255) }),
  { maxLength: 50 },
);

function score(truth: ArrayLike<number>, predicted: ArrayLike<number>, classes = CLASSES) {
  const scores = new SegmentationAccumulator(classes);
  scores.add(truth, predicted);
  return scores.result();
}

describe('SegmentationAccumulator', () => {
  it('equals counting sets of pixels, class by class', () => {
    fc.assert(
      fc.property(pixels, (list) => {
        const result = score(
          list.map(({ truth }) => truth),
          list.map(({ predicted }) => predicted),
        );
        const valid = list.filter(({ truth, predicted }) => truth < CLASSES && predicted !== 255);
        const present = [0, 1, 2, 3].filter((c) => valid.some(({ truth }) => truth === c));
        const iou = [0, 1, 2, 3].map((c) => {
          const union = valid.filter(({ truth, predicted }) => truth === c || predicted === c).length;
          return union === 0 ? null : valid.filter((p) => p.truth === c && p.predicted === c).length / union;
        });
        expect(result.pixels).toBe(valid.length);
        expect(result.iou).toEqual(iou);
        if (valid.length === 0) {
          expect(result).toMatchObject({ pAcc: null, mAcc: null, miou: null });
          expect(result.reasons.miou).toBe('no pixel has a ground-truth class');
          return;
        }
        expect(result.pAcc).toBeCloseTo(
          valid.filter((p) => p.truth === p.predicted).length / valid.length,
          12,
        );
        expect(result.miou).toBeCloseTo(present.reduce((sum, c) => sum + iou[c]!, 0) / present.length, 12);
      }),
    );
  });

  it('keeps a class that is only predicted out of both means', () => {
    const result = score([0, 0, 1, 1], [0, 3, 1, 1]);
    expect(result.iou).toEqual([0.5, 1, null, 0]);
    expect(result).toMatchObject({ pAcc: 0.75, mAcc: 0.75, miou: 0.75 });
  });

  it('leaves out what pseudo labels leave open, as pseudo_scores does', () => {
    expect(score([0, 1, 1], [0, 255, 1])).toEqual(score([0, 255, 1], [0, 0, 1]));
  });

  it('gives the same in one piece and image by image', () => {
    const whole = score([0, 1, 2, 2], [0, 1, 1, 2]);
    const parts = new SegmentationAccumulator(CLASSES);
    parts.add(Uint8Array.of(0, 1), Uint8Array.of(0, 1));
    parts.add(Uint8Array.of(2, 2), Uint8Array.of(1, 2));
    expect(parts.result()).toEqual(whole);
  });

  it('refuses what it cannot count', () => {
    expect(() => score([0, 1], [0])).toThrow('ground truth (2) but received 1');
    expect(() => score([0], [4])).toThrow(
      'Expected a class from 0 to 3 (or 255) for the prediction but received 4',
    );
    expect(() => new SegmentationAccumulator(0)).toThrow('1 to 255');
  });
});
