import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auroc,
  averagePrecision,
  BinaryAccumulator,
  CLASSIFICATION_SCORES,
  MultiLabelAccumulator,
} from '../../src/metrics/index.js';
import { findPython, runPython } from '../oracles/python.js';

/** Scores on a coarse grid, so that ties are common. */
const samples = fc.array(
  fc.record({ score: fc.integer({ min: 0, max: 12 }), label: fc.constantFrom(0, 1) }),
  {
    minLength: 2,
    maxLength: 60,
  },
);
const scoresOf = (list: { score: number }[]) => list.map(({ score }) => score / 12);
const labelsOf = (list: { label: number }[]) => list.map(({ label }) => label);

function accumulate(scores: number[], labels: number[], threshold?: number) {
  const accumulator = new BinaryAccumulator(threshold);
  scores.forEach((score, i) => {
    accumulator.add(score, labels[i]!);
  });
  return accumulator.result();
}

describe('auroc', () => {
  // Expected: scikit-learn 1.9 roc_auc_score (the first is the example of its documentation); it refuses infinite
  // scores, so the last is the share of pairs won, with a tie as one half.
  it.each([
    ['no ties', [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75],
    ['perfect', [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1],
    ['reversed', [0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], 0],
    ['all equal', [0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], 0.5],
    ['some ties', [0.2, 0.5, 0.5, 0.7, 0.5], [0, 0, 1, 1, 1], 0.8333333333333334],
    ['infinite logits', [-Infinity, Infinity, Infinity], [0, 0, 1], 0.75],
  ])('%s', (_, scores, labels, expected) => {
    expect(auroc(scores, labels)).toBeCloseTo(expected, 15);
  });

  it('is null, not 0, where one class is missing', () => {
    expect(auroc([], [])).toBeNull();
    expect(auroc([0.3, 0.9], [1, 1])).toBeNull();
    expect(auroc([0.3, 0.9], [0, 0])).toBeNull();
  });

  it('refuses what cannot be ranked', () => {
    expect(() => auroc([0.1, NaN], [0, 1])).toThrow('received NaN at index 1');
    expect(() => auroc([0.1], [0, 1])).toThrow('1 scores and 2 labels');
  });

  it('equals counting all pairs', () => {
    fc.assert(
      fc.property(samples, (list) => {
        const positives = list.filter(({ label }) => label === 1);
        const negatives = list.filter(({ label }) => label === 0);
        let won = 0;
        for (const p of positives) for (const n of negatives) won += (Math.sign(p.score - n.score) + 1) / 2;
        const pairs = positives.length * negatives.length;
        const result = auroc(scoresOf(list), labelsOf(list));
        if (pairs === 0) expect(result).toBeNull();
        else expect(result).toBeCloseTo(won / pairs, 12);
      }),
    );
  });

  it('does not change under a monotone transform, and turns over with the labels', () => {
    fc.assert(
      fc.property(samples, (list) => {
        const scores = scoresOf(list);
        const labels = labelsOf(list);
        const result = auroc(scores, labels);
        expect(
          auroc(
            scores.map((score) => Math.exp(3 * score) - 7),
            labels,
          ),
        ).toBe(result);
        const flipped = auroc(
          scores,
          labels.map((label) => 1 - label),
        );
        if (result === null) expect(flipped).toBeNull();
        else expect(flipped).toBeCloseTo(1 - result, 12);
      }),
    );
  });
});

describe('averagePrecision', () => {
  // Expected: the example in scikit-learn's documentation, and hand-made sums of precision over steps of recall.
  it.each([
    ['no ties', [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.8333333333333333],
    ['perfect', [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1],
    ['all equal', [0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], 0.5],
  ])('%s', (_, scores, labels, expected) => {
    expect(averagePrecision(scores, labels)).toBeCloseTo(expected, 15);
  });

  it('is null without a positive, and refuses what cannot be ranked', () => {
    expect(averagePrecision([], [])).toBeNull();
    expect(averagePrecision([0.3], [0])).toBeNull();
    expect(() => averagePrecision([0.1, NaN], [0, 1])).toThrow('received NaN at index 1');
    expect(() => averagePrecision([0.1], [0, 1])).toThrow('1 scores and 2 labels');
  });
});

describe('BinaryAccumulator', () => {
  it('counts and scores by hand-made numbers', () => {
    // tp 2, fn 1, fp 1, tn 3
    const result = accumulate([0.9, 0.8, 0.1, 0.7, 0.2, 0.5, 0.3], [1, 1, 1, 0, 0, 0, 0]);
    expect(result.confusion).toEqual({
      truePositives: 2,
      falsePositives: 1,
      trueNegatives: 3,
      falseNegatives: 1,
    });
    expect(result).toMatchObject({ samples: 7, positives: 3, reasons: {} });
    expect(result.accuracy).toBeCloseTo(5 / 7, 15);
    expect(result.f1).toBeCloseTo(4 / 6, 15);
    expect(result.sensitivity).toBeCloseTo(2 / 3, 15);
    expect(result.specificity).toBeCloseTo(3 / 4, 15);
    expect(result.precision).toBeCloseTo(2 / 3, 15);
  });

  it('predicts positive strictly above the threshold', () => {
    expect(accumulate([0.5, 0.6], [1, 1]).confusion.truePositives).toBe(1);
    expect(accumulate([0.5, 0.6], [1, 1], 0.4).confusion.truePositives).toBe(2);
  });

  it('gives null with a reason for every score that does not exist', () => {
    const empty = new BinaryAccumulator().result();
    for (const name of CLASSIFICATION_SCORES) {
      expect(empty[name]).toBeNull();
      expect(empty.reasons[name]).toMatch(/\w/);
    }
    const onlyNegatives = accumulate([0.1, 0.2], [0, 0]);
    expect(onlyNegatives).toMatchObject({ accuracy: 1, specificity: 1, auroc: null, f1: null });
    expect(Object.keys(onlyNegatives.reasons).sort()).toEqual([
      'auroc',
      'averagePrecision',
      'f1',
      'precision',
      'sensitivity',
    ]);
    // All wrong is a measured 0, not a missing score.
    expect(accumulate([0.1, 0.9], [1, 0])).toMatchObject({ f1: 0, auroc: 0, accuracy: 0 });
  });

  it('scores nothing once a score is NaN', () => {
    const result = accumulate([0.9, NaN, 0.1], [1, 1, 0]);
    for (const name of CLASSIFICATION_SCORES) expect(result[name]).toBeNull();
    expect(result.reasons.auroc).toContain('1 of 3 scores are NaN');
  });

  it('refuses a label that is neither 0 nor 1', () => {
    expect(() => new BinaryAccumulator().add(0.5, 255)).toThrow('received 255');
    expect(() => new BinaryAccumulator(NaN)).toThrow('finite');
  });
});

describe('MultiLabelAccumulator', () => {
  it('scores each label apart and means over those that have a score', () => {
    const accumulator = new MultiLabelAccumulator(3);
    const rows = [
      { scores: [0.9, 0.6, 0.1], labels: [1, 0, 0] },
      { scores: [0.2, 0.7, 0.1], labels: [0, 1, 0] },
      { scores: [0.8, 0.4, 0.2], labels: [1, 1, 0] },
    ];
    for (const { scores, labels } of rows) accumulator.add(scores, labels);
    const { mean, perClass, samples } = accumulator.result();
    expect(samples).toBe(3);
    const apart = [0, 1, 2].map((c) =>
      accumulate(
        rows.map(({ scores }) => scores[c]!),
        rows.map(({ labels }) => labels[c]!),
      ),
    );
    expect(perClass).toEqual(apart);
    expect(apart[2]!.auroc).toBeNull();
    expect(mean.auroc).toBeCloseTo((apart[0]!.auroc! + apart[1]!.auroc!) / 2, 15);
    expect(mean.accuracy).toBeCloseTo((1 + 1 / 3 + 1) / 3, 15);
  });

  it('gives one label the scores of BinaryAccumulator, reasons included', () => {
    const accumulator = new MultiLabelAccumulator(1);
    accumulator.add(Float32Array.of(0.25), Float32Array.of(0));
    const { mean, reasons, perClass } = accumulator.result();
    expect(mean.auroc).toBeNull();
    expect(reasons).toEqual(perClass[0]!.reasons);
  });

  it('refuses rows of another length', () => {
    expect(() => new MultiLabelAccumulator(2).add([0.5], [1, 0])).toThrow('Expected 2 scores and labels');
    expect(() => new MultiLabelAccumulator(0)).toThrow('positive integer');
  });
});

const python = findPython(['sklearn']);

describe.skipIf(!python)('against scikit-learn', () => {
  const SCORES_IN_SKLEARN = `
import json, sys
from sklearn import metrics as m
out = []
for case in json.load(open(sys.argv[1])):
    y, s = case["labels"], case["scores"]
    p = [int(v > 0.5) for v in s]
    out.append({
        "auroc": m.roc_auc_score(y, s) if 0 < sum(y) < len(y) else None,
        "averagePrecision": m.average_precision_score(y, s) if sum(y) else None,
        "accuracy": m.accuracy_score(y, p),
        "f1": m.f1_score(y, p) if sum(y) + sum(p) else None,
        "sensitivity": m.recall_score(y, p) if sum(y) else None,
        "precision": m.precision_score(y, p) if sum(p) else None,
        "specificity": m.recall_score(y, p, pos_label=0) if sum(y) < len(y) else None,
    })
print(json.dumps(out))
`;
  it('agrees on random and degenerate samples', () => {
    const degenerate = [
      [{ score: 12, label: 1 }],
      [{ score: 0, label: 0 }],
      [{ score: 12, label: 0 }],
      [{ score: 0, label: 1 }],
    ];
    const lists = [...fc.sample(samples, { numRuns: 200, seed: 7 }), ...degenerate];
    const cases = lists.map((list) => ({ scores: scoresOf(list), labels: labelsOf(list) }));
    const folder = mkdtempSync(join(tmpdir(), 'metrics-'));
    try {
      const file = join(folder, 'cases.json');
      writeFileSync(file, JSON.stringify(cases));
      const answers = JSON.parse(runPython(python!, SCORES_IN_SKLEARN, [file])) as Record<
        string,
        number | null
      >[];
      expect(answers).toHaveLength(cases.length);
      cases.forEach(({ scores, labels }, i) => {
        const ours = accumulate(scores, labels);
        for (const name of CLASSIFICATION_SCORES) {
          const theirs = answers[i]![name]!;
          if (theirs === null) expect(ours[name], `${name} of case ${i}`).toBeNull();
          else expect(ours[name], `${name} of case ${i}`).toBeCloseTo(theirs, 12);
        }
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
