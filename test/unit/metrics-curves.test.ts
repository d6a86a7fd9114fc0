import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calibrationBin } from '../../src/metrics/calibration.js';
import { BINARY_SCORES, type ClassEvaluation, evaluateCases } from '../../src/metrics/index.js';
import { findPython, runPython } from '../oracles/python.js';

interface Sample {
  scores: number[];
  labels: number[];
}

function evaluate({ scores, labels }: Sample): ClassEvaluation {
  const cases = scores.map((score, i) => ({ name: `s${i}`, labels: [labels[i]!], scores: [score] }));
  return evaluateCases(cases).perSlice.perClass[0]!;
}

/** Whether a polyline passes through a point; x does not fall along it. */
function passesThrough(xs: number[], ys: number[], x: number, y: number): boolean {
  return xs.some((x0, i) => {
    if (i + 1 === xs.length) return Math.abs(x - x0) + Math.abs(y - ys[i]!) < 1e-12;
    const [x1, y0, y1] = [xs[i + 1]!, ys[i]!, ys[i + 1]!];
    if (x < x0 - 1e-12 || x > x1 + 1e-12) return false;
    if (x1 === x0) return y >= Math.min(y0, y1) - 1e-12 && y <= Math.max(y0, y1) + 1e-12;
    return Math.abs(y0 + ((y1 - y0) * (x - x0)) / (x1 - x0) - y) < 1e-12;
  });
}

// From scikit-learn 1.9.1: roc_auc_score, average_precision_score, brier_score_loss, ...; ECE by its formula in numpy.
const STORED: Sample = {
  scores: [0.96, 0.91, 0.91, 0.72, 0.64, 0.64, 0.5, 0.41, 0.33, 0.33, 0.12, 0.05, 0.77, 0.02, 0.2],
  labels: [1, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0],
};
const STORED_SCORES = {
  auroc: 0.7685185185185186,
  auprc: 0.6680916305916306,
  brier: 0.20543333333333333,
  ece: 0.25533333333333336,
  accuracy: 0.6666666666666666,
  sensitivity: 0.6666666666666666,
  specificity: 0.6666666666666666,
  ppv: 0.5714285714285714,
  npv: 0.75,
  f1: 0.6153846153846154,
  balancedAccuracy: 0.6666666666666666,
  mcc: 0.32732683535398854,
};

describe('curves', () => {
  it('keep only corners', () => {
    const { roc, precisionRecall } = evaluate({
      scores: [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
      labels: [1, 1, 0, 0, 1, 0],
    });
    expect(roc).toEqual({
      falsePositiveRate: [0, 0, 2 / 3, 2 / 3, 1],
      sensitivity: [0, 2 / 3, 2 / 3, 1, 1],
      threshold: [null, 0.8, 0.6, 0.5, 0.4],
    });
    expect(precisionRecall).toEqual({
      recall: [0, 1 / 3, 2 / 3, 2 / 3, 1, 1],
      precision: [1, 1, 1, 1 / 2, 3 / 5, 1 / 2],
      threshold: [null, 0.9, 0.8, 0.6, 0.5, 0.4],
    });
  });

  it('stay short for a good model of many slices', () => {
    const labels = Array.from({ length: 5000 }, (_, i) => Number(i < 2500));
    const { roc, precisionRecall } = evaluate({ scores: labels.map((_, i) => 1 - i / 5000), labels });
    expect(roc!.threshold).toHaveLength(3);
    expect(precisionRecall!.threshold).toHaveLength(4);
  });

  it('enclose the area that is reported', () => {
    const samples = fc.array(fc.tuple(fc.integer({ min: 0, max: 15 }), fc.constantFrom(0, 1)), {
      minLength: 2,
    });
    fc.assert(
      fc.property(samples, (list) => {
        const { roc, scores } = evaluate({
          scores: list.map(([s]) => s / 15),
          labels: list.map(([, l]) => l),
        });
        expect(roc === null).toBe(scores.auroc.value === null);
        if (roc === null) return;
        const { falsePositiveRate: x, sensitivity: y } = roc;
        const area = x.slice(1).reduce((sum, xi, i) => sum + ((xi - x[i]!) * (y[i]! + y[i + 1]!)) / 2, 0);
        expect(area).toBeCloseTo(scores.auroc.value!, 12);
      }),
    );
  });
});

describe('reliability', () => {
  it('puts edges into the bin below, and 0 into the first', () => {
    expect([0, 0.05, 0.1, 0.100001, 0.3, 1].map((p) => calibrationBin(p, 10))).toEqual([0, 0, 0, 1, 2, 9]);
  });

  it('is calibrated by hand-made numbers', () => {
    const { reliability, scores } = evaluate({ scores: [0.9, 0.9, 0.1, 0.1], labels: [1, 0, 0, 0] });
    expect(reliability).toEqual([
      { low: 1 / 15, high: 2 / 15, samples: 2, predicted: 0.1, observed: 0 },
      { low: 13 / 15, high: 14 / 15, samples: 2, predicted: 0.9, observed: 0.5 },
    ]);
    expect(scores.ece.value).toBeCloseTo((2 * 0.1 + 2 * 0.4) / 4, 15);
  });
});

describe('against scikit-learn', () => {
  it('agrees with stored numbers', () => {
    const { scores } = evaluate(STORED);
    expect(Object.keys(STORED_SCORES)).toEqual([...BINARY_SCORES]);
    for (const [name, expected] of Object.entries(STORED_SCORES)) {
      expect(scores[name as keyof typeof scores].value, name).toBeCloseTo(expected as number, 14);
    }
  });

  const python = findPython(['sklearn']);
  const ORACLE = `
import json, sys, warnings
import numpy as np
from sklearn import metrics as m
from sklearn.calibration import calibration_curve
warnings.simplefilter("ignore")
def ece(y, s, n=15):
    b = np.searchsorted(np.linspace(0, 1, n + 1)[1:-1], s)
    return sum((b == k).mean() * abs(s[b == k].mean() - y[b == k].mean()) for k in set(b.tolist()))
out = []
for case in json.load(open(sys.argv[1])):
    y, s = np.array(case["labels"]), np.array(case["scores"])
    p = (s > 0.5).astype(int)
    pos, neg, both = y.sum(), (1 - y).sum(), 0 < y.sum() < len(y)
    curves = {}
    if both:
        curves["roc"] = [v.tolist() for v in m.roc_curve(y, s, drop_intermediate=False)[:2]]
    if pos:
        curves["pr"] = [v.tolist() for v in m.precision_recall_curve(y, s)[:2]]
    observed, predicted = calibration_curve(y, s, n_bins=15)
    out.append({"curves": curves, "reliability": [predicted.tolist(), observed.tolist()], "scores": {
        "auroc": m.roc_auc_score(y, s) if both else None,
        "auprc": m.average_precision_score(y, s) if pos else None,
        "brier": m.brier_score_loss(y, s, pos_label=1),
        "ece": ece(y, s),
        "accuracy": m.accuracy_score(y, p),
        "sensitivity": m.recall_score(y, p) if pos else None,
        "specificity": m.recall_score(y, p, pos_label=0) if neg else None,
        "ppv": m.precision_score(y, p) if p.sum() else None,
        "npv": m.precision_score(y, p, pos_label=0) if (1 - p).sum() else None,
        "f1": m.f1_score(y, p) if pos + p.sum() else None,
        "balancedAccuracy": m.balanced_accuracy_score(y, p) if both else None,
        "mcc": m.matthews_corrcoef(y, p) if both and 0 < p.sum() < len(p) else None,
    }})
print(json.dumps(out))
`;

  it.skipIf(!python)('agrees on random and degenerate samples', () => {
    const sample = (max: number) =>
      fc
        .array(fc.tuple(fc.integer({ min: 0, max }), fc.constantFrom(0, 1)), { minLength: 1, maxLength: 80 })
        .map((list): Sample => ({ scores: list.map(([s]) => s / max), labels: list.map(([, l]) => l) }));
    const degenerate = [0, 0.5, 1].flatMap((score) =>
      [[0], [1], [0, 1], [1, 1], [0, 0]].map((labels) => ({ scores: labels.map(() => score), labels })),
    );
    const samples: Sample[] = [
      STORED,
      ...degenerate,
      // Every edge of the calibration bins, as numpy writes it.
      {
        scores: Array.from({ length: 16 }, (_, k) => Math.min(1, k * (1 / 15))),
        labels: [...'0110100110010110'].map(Number),
      },
      ...fc.sample(sample(7), { numRuns: 100, seed: 1 }),
      ...fc.sample(sample(30), { numRuns: 100, seed: 2 }),
      ...fc.sample(sample(99_991), { numRuns: 100, seed: 3 }),
    ];
    const folder = mkdtempSync(join(tmpdir(), 'metrics-'));
    try {
      writeFileSync(join(folder, 'cases.json'), JSON.stringify(samples));
      const answers = JSON.parse(runPython(python!, ORACLE, [join(folder, 'cases.json')]));
      expect(answers).toHaveLength(samples.length);
      for (const [i, { curves, reliability, scores: theirs }] of answers.entries()) {
        const ours = evaluate(samples[i]!);
        for (const name of BINARY_SCORES) {
          const { value } = ours.scores[name];
          if (theirs[name] === null) expect(value, `${name} of sample ${i}`).toBeNull();
          else expect(value, `${name} of sample ${i}`).toBeCloseTo(theirs[name], 12);
        }
        expect(ours.roc === null).toBe(curves.roc === undefined);
        expect(ours.precisionRecall === null).toBe(curves.pr === undefined);
        const { falsePositiveRate = [], sensitivity = [] } = ours.roc ?? {};
        curves.roc?.[0].forEach((x: number, k: number) => {
          expect(passesThrough(falsePositiveRate, sensitivity, x, curves.roc[1][k])).toBe(true);
        });
        const { recall = [], precision = [] } = ours.precisionRecall ?? {};
        curves.pr?.[1].forEach((x: number, k: number) => {
          expect(passesThrough(recall, precision, x, curves.pr[0][k])).toBe(true);
        });
        const bins = ours.reliability!;
        expect(bins).toHaveLength(reliability[0].length);
        for (const [b, bin] of bins.entries()) {
          expect(bin.predicted).toBeCloseTo(reliability[0][b], 12);
          expect(bin.observed).toBeCloseTo(reliability[1][b], 12);
        }
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
