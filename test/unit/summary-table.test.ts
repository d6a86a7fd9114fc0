import { describe, expect, it } from 'vitest';
import { summaryTable } from '../../src/export/summary-table.js';

const score = (value: number) => ({ value, low: value - 0.1, high: value + 0.1 });
const PATHS = { best: 'b', summary: 's', metrics: 'm', report: 'r' };
const EXPORTED = { outputDir: 'maps', camNpyDir: 'cams', written: 2 };
const SUMMARY = {
  images: 2,
  auroc: 0.5,
  accuracy: 0.5,
  f1: 0.5,
  camDiceBest: { threshold: '0.20', dice: 0.28 },
  segDice: 0.2023,
  pointingGame: 0.4375,
  segScore: null,
  camScore: null,
  affScore: null,
  iterations: 24,
  bestIteration: 12,
  evaluation: {
    perSlice: { auroc: score(0.5) },
    perPatient: null,
    localisation: {
      cam: { threshold: '0.10', scores: { dice: score(0.237), pointingGame: score(0.317) } },
      seg: { threshold: null, scores: { dice: score(0.181), pointingGame: score(0) } },
    },
  },
};

describe('summaryTable', () => {
  it('shows, of several classes, the means over classes that the intervals belong to', () => {
    const text = summaryTable({ ...SUMMARY, classes: [{}, {}] }, PATHS, EXPORTED);
    expect(text).toContain('on 2 validation images; 95 % intervals by image; means over the classes');
    expect(text).toMatch(/CAM Dice, best \(threshold 0\.10\) +0\.237 +0\.137 to 0\.337/);
    expect(text).toMatch(/segmentation Dice +0\.181 +0\.081 to 0\.281/);
    expect(text).toMatch(/pointing game +0\.317 +0\.217 to 0\.417/);
  });

  it('speaks of slices where there are patients', () => {
    const evaluation = { ...SUMMARY.evaluation, perPatient: {} };
    expect(summaryTable({ ...SUMMARY, evaluation }, PATHS, EXPORTED)).toMatch(/^slice AUROC/m);
  });

  it('shows the scores of one class as summary.json has them', () => {
    const text = summaryTable(SUMMARY, PATHS, EXPORTED);
    expect(text).not.toContain('means over');
    expect(text).toMatch(/^image AUROC/m);
    expect(text).toMatch(/CAM Dice, best \(threshold 0\.20\) +0\.280/);
  });
});
