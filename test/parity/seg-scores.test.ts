import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SegmentationAccumulator } from '../../src/metrics/segmentation.js';

interface Fixture {
  /** `[images][height][width]`, 255 is ignored. */
  gt: number[][][];
  pred: number[][][];
  num_classes: number;
  pAcc: number;
  mAcc: number;
  miou: number;
  iou: (number | null)[];
}

// Made with the original's utils/evaluate.py (scores): classes 3 and 4 are absent.
const fixture: Fixture = JSON.parse(
  readFileSync(new URL('../fixtures/io/seg_scores.json', import.meta.url), 'utf8'),
);

describe('confusion-matrix scores', () => {
  it('equal the original over several images', () => {
    const scores = new SegmentationAccumulator(fixture.num_classes);
    fixture.gt.forEach((truth, i) => {
      scores.add(truth.flat(), fixture.pred[i]!.flat());
    });
    const result = scores.result();
    expect(result.pAcc).toBeCloseTo(fixture.pAcc, 14);
    expect(result.mAcc).toBeCloseTo(fixture.mAcc, 14);
    expect(result.miou).toBeCloseTo(fixture.miou, 14);
    expect(result.iou.map((value) => value === null)).toEqual(fixture.iou.map((value) => value === null));
    result.iou.forEach((value, c) => {
      if (value !== null) expect(value).toBeCloseTo(fixture.iou[c]!, 14);
    });
    expect(result.pixels).toBe(fixture.gt.flat(2).filter((truth) => truth !== 255).length);
  });
});
