import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { percentileInterval } from '../../src/metrics/bootstrap.js';
import {
  BINARY_SCORES,
  type BinaryScoreTable,
  type EvaluatedCase,
  evaluateCases,
} from '../../src/metrics/index.js';
import { seededRandom } from './metrics-arbitraries.js';

/** Slices of a few patients with tied scores. */
const cases = fc
  .array(
    fc.record({
      patient: fc.constantFrom('a', 'b', 'c', 'd'),
      score: fc.integer({ min: 0, max: 10 }).map((k) => k / 10),
      label: fc.constantFrom(0, 1),
    }),
    { minLength: 1, maxLength: 30 },
  )
  .map((list) => list.map((one, i) => toCase(`s${i}`, one.patient, one.score, one.label)));

function toCase(name: string, patient: string | undefined, score: number, label: number): EvaluatedCase {
  return { name, patient, labels: [label], scores: [score] };
}

const values = (table: BinaryScoreTable) => BINARY_SCORES.map((name) => table[name].value);

/** 3 patients, 8 slices. tp 2, fp 1, tn 3, fn 2. */
const HAND_MADE = [
  toCase('a1', 'a', 0.9, 1),
  toCase('a2', 'a', 0.6, 0),
  toCase('a3', 'a', 0.2, 0),
  toCase('b1', 'b', 0.8, 1),
  toCase('b2', 'b', 0.3, 1),
  toCase('c1', 'c', 0.3, 0),
  toCase('c2', 'c', 0.1, 0),
  toCase('c3', 'c', 0.4, 1),
];

describe('evaluateCases', () => {
  it('scores slices by hand-made numbers', () => {
    const { perSlice } = evaluateCases(HAND_MADE);
    expect(perSlice.perClass[0]!.confusion).toEqual({
      truePositives: 2,
      falsePositives: 1,
      trueNegatives: 3,
      falseNegatives: 2,
    });
    const scores = perSlice.scores;
    expect(scores.sensitivity.value).toBe(2 / 4);
    expect(scores.specificity.value).toBe(3 / 4);
    expect(scores.ppv.value).toBe(2 / 3);
    expect(scores.npv.value).toBe(3 / 5);
    expect(scores.f1.value).toBe(4 / 7);
    expect(scores.balancedAccuracy.value).toBe(5 / 8);
    // (2*3 - 1*2) / sqrt(3*4*4*5)
    expect(scores.mcc.value).toBeCloseTo(4 / Math.sqrt(240), 15);
    // 16 pairs: 0.9 and 0.8 win 4 each, 0.4 wins 3, 0.3 wins 2 and ties 1.
    expect(scores.auroc.value).toBeCloseTo(13.5 / 16, 15);
    // Precision at 0.9, 0.8, 0.4, 0.3: 1/1, 2/2, 3/4, 4/6.
    expect(scores.auprc.value).toBeCloseTo((1 + 1 + 3 / 4 + 4 / 6) / 4, 15);
    expect(scores.brier.value).toBeCloseTo((0.01 + 0.36 + 0.04 + 0.04 + 0.49 + 0.09 + 0.01 + 0.36) / 8, 15);
    expect(scores.auroc).toMatchObject({ low: null, high: null, reason: 'no intervals were asked for' });
  });

  it('scores a patient by its highest slices, and calls it positive when a slice is', () => {
    const highest = evaluateCases(HAND_MADE);
    expect(highest.method.patientScore).toBe('maximum of its slices');
    expect(highest.perPatient).toMatchObject({ samples: 3 });
    // All three patients hold a positive slice.
    for (const name of BINARY_SCORES) {
      expect(highest.perPatient!.scores[name]).toMatchObject({
        value: null,
        reason: 'every patient is positive',
      });
    }
    const withHealthy = [...HAND_MADE, toCase('d1', 'd', 0.45, 0), toCase('d2', 'd', 0.05, 0)];
    const maximum = evaluateCases(withHealthy).perPatient!;
    // Patient scores 0.9, 0.8, 0.4 against 0.45.
    expect(maximum.scores.auroc.value).toBeCloseTo(2 / 3, 15);
    expect(maximum.perClass[0]!.confusion).toEqual({
      truePositives: 2,
      falsePositives: 0,
      trueNegatives: 1,
      falseNegatives: 1,
    });
    // Means of two: 0.75, 0.55, 0.35 against 0.25.
    const mean = evaluateCases(withHealthy, { patientScore: { topK: 2 } });
    expect(mean.perPatient!.scores.auroc.value).toBe(1);
    expect(mean.method.patientScore).toBe('mean of its 2 highest slices');
  });

  it('has no patient level where no patient is known', () => {
    const anonymous = HAND_MADE.map(({ name, labels, scores }) => ({ name, labels, scores }));
    const result = evaluateCases(anonymous, { bootstrap: { random: seededRandom(1), replicates: 10 } });
    expect(result).toMatchObject({ cases: 8, patients: null, perPatient: null });
    expect(result.method.intervals).toMatchObject({ method: expect.stringContaining('images'), patients: 8 });
  });

  it('means over classes, and leaves out those without the score', () => {
    const list = [
      { name: 'x', labels: [1, 0, 0], scores: [0.9, 0.6, 0.1] },
      { name: 'y', labels: [0, 1, 0], scores: [0.2, 0.7, 0.1] },
      { name: 'z', labels: [1, 1, 0], scores: [0.8, 0.4, 0.2] },
    ];
    const { perSlice } = evaluateCases(list, { classes: ['cat', 'dog', 'cow'] });
    const [cat, dog, cow] = perSlice.perClass;
    expect([cat!.class, cat!.scores.auroc.value, dog!.scores.auroc.value]).toEqual(['cat', 1, 0.5]);
    expect(cow!.scores.auroc).toMatchObject({ value: null, reason: expect.stringMatching(/one positive/) });
    expect(perSlice.scores.auroc.value).toBe(0.75);
    expect(perSlice.scores.specificity.value).toBeCloseTo((1 + 0 + 1) / 3, 15);
  });

  it('gives null with a reason for what does not exist, never 0', () => {
    const { perSlice } = evaluateCases([toCase('x', 'p', 0.2, 0), toCase('y', 'q', 0.3, 0)]);
    const undefinedScores = BINARY_SCORES.filter((name) => perSlice.scores[name].value === null);
    expect(undefinedScores).toEqual([
      'auroc',
      'auprc',
      'sensitivity',
      'ppv',
      'f1',
      'balancedAccuracy',
      'mcc',
    ]);
    for (const name of undefinedScores) expect(perSlice.scores[name].reason).toMatch(/\w/);
    expect(perSlice.perClass[0]).toMatchObject({ roc: null, precisionRecall: null });
    // All wrong is a measured 0.
    const wrong = evaluateCases([toCase('x', 'p', 0.2, 1), toCase('y', 'q', 0.7, 0)]).perSlice.scores;
    expect([wrong.auroc.value, wrong.f1.value, wrong.mcc.value]).toEqual([0, 0, -1]);
  });

  it('scores nothing once a score is NaN, of the patient neither', () => {
    const broken = [...HAND_MADE, toCase('d1', 'd', NaN, 0), toCase('d2', 'd', 0.5, 0)];
    const { perSlice, perPatient } = evaluateCases(broken, { bootstrap: { random: seededRandom(1) } });
    for (const level of [perSlice, perPatient!]) {
      for (const name of BINARY_SCORES) expect(level.scores[name].value).toBeNull();
      expect(level.scores.auroc.reason).toMatch(/1 of \d+ scores are NaN/);
      expect(level.perClass[0]).toMatchObject({ roc: null, precisionRecall: null, reliability: null });
    }
  });

  it('measures calibration of probabilities only', () => {
    const { scores, perClass } = evaluateCases([toCase('x', 'p', 2, 1), toCase('y', 'q', -3, 0)]).perSlice;
    expect(scores.brier).toMatchObject({ value: null, reason: 'scores are not all in 0..1' });
    expect([scores.ece.value, perClass[0]!.reliability, scores.auroc.value]).toEqual([null, null, 1]);
  });

  it('is plain JSON', () => {
    const result = evaluateCases(HAND_MADE, { bootstrap: { random: seededRandom(1), replicates: 50 } });
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  it('does not depend on the order of the cases, nor on a monotone map of the scores where only ranks count', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 9 }), (list, seed) => {
        const before = evaluateCases(list);
        const random = seededRandom(seed);
        const shuffled = list
          .map((one) => ({ one, key: random() }))
          .sort((a, b) => a.key - b.key)
          .map(({ one }) => one);
        const after = evaluateCases(shuffled);
        for (const level of ['perSlice', 'perPatient'] as const) {
          for (const name of BINARY_SCORES) {
            const [x, y] = [before[level]!.scores[name].value, after[level]!.scores[name].value];
            if (x === null) expect(y).toBeNull();
            else expect(y).toBeCloseTo(x, 12);
          }
          expect(after[level]!.perClass[0]!.roc).toEqual(before[level]!.perClass[0]!.roc);
        }
        const mapped = list.map((one) => ({ ...one, scores: [one.scores[0]! ** 3 / 4] }));
        const { scores } = evaluateCases(mapped, { threshold: 0.5 ** 3 / 4 }).perSlice;
        for (const name of BINARY_SCORES) {
          if (name === 'brier' || name === 'ece') continue;
          expect(scores[name].value).toBe(before.perSlice.scores[name].value);
        }
      }),
    );
  });

  it.each([
    ['no case', () => evaluateCases([]), 'at least one case'],
    [
      'a label too many',
      () => evaluateCases([{ name: 'x', labels: [1, 0], scores: [1] }]),
      '2 labels and scores for x',
    ],
    ['a strange label', () => evaluateCases([toCase('x', 'p', 1, 255)]), 'received 255 at index 0'],
    [
      'a strange threshold',
      () => evaluateCases(HAND_MADE, { threshold: NaN }),
      'finite number for threshold',
    ],
    [
      'no slices a patient',
      () => evaluateCases(HAND_MADE, { patientScore: { topK: 0 } }),
      'patientScore.topK',
    ],
    [
      'no replicate',
      () => evaluateCases(HAND_MADE, { bootstrap: { random: Math.random, replicates: 0 } }),
      'positive integer for replicates',
    ],
    [
      'certainty',
      () => evaluateCases(HAND_MADE, { bootstrap: { random: Math.random, confidence: 95 } }),
      'between 0 and 1 for confidence but received 95',
    ],
  ])('refuses %s', (_, run, message) => {
    expect(run).toThrow(message);
  });
});

describe('intervals', () => {
  it('equal those of copying the drawn patients, score by score', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 0, max: 99 }), (list, seed) => {
        const replicates = 40;
        const names = [...new Set(list.map(({ patient }) => patient))];
        const random = seededRandom(seed);
        const byHand: (number | null)[][] = [];
        for (let r = 0; r < replicates; r++) {
          const drawn = names.map(() => names[Math.floor(random() * names.length)]);
          const copies = drawn.flatMap((patient) => list.filter((one) => one.patient === patient));
          byHand.push(values(evaluateCases(copies).perSlice.scores));
        }
        const { perSlice } = evaluateCases(list, { bootstrap: { random: seededRandom(seed), replicates } });
        for (const [s, name] of BINARY_SCORES.entries()) {
          const score = perSlice.scores[name];
          if (score.value === null || names.length === 1) {
            expect([score.low, score.high]).toEqual([null, null]);
            continue;
          }
          const column = Float64Array.from(byHand, (row) => row[s] ?? NaN);
          const expected = percentileInterval(column, 0.95);
          expect(score.undefinedReplicates).toBe(expected.undefinedReplicates);
          expect(score.reason).toBe(expected.reason);
          if (expected.low === null) expect(score.low).toBeNull();
          else {
            expect(score.low).toBeCloseTo(expected.low, 12);
            expect(score.high).toBeCloseTo(expected.high!, 12);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it('are the same for the same seed, and others for another', () => {
    const run = (seed: number) =>
      evaluateCases(manySlices(), { bootstrap: { random: seededRandom(seed), replicates: 200 } });
    expect(run(3)).toEqual(run(3));
    expect(run(3).perSlice.scores.auroc).not.toEqual(run(4).perSlice.scores.auroc);
  });

  it('widen when slices belong to patients, since a patient brings all its slices', () => {
    const width = (list: EvaluatedCase[]) => {
      const { scores } = evaluateCases(list, { bootstrap: { random: seededRandom(5) } }).perSlice;
      return scores.sensitivity.high! - scores.sensitivity.low!;
    };
    // Two of 20 patients are missed in all their 10 slices. Of independent patients the standard error is
    // sqrt(0.1 * 0.9 / 20), of slices sqrt(0.1 * 0.9 / 200).
    const list = manySlices();
    const anonymous = list.map(({ name, labels, scores }) => ({ name, labels, scores }));
    expect(width(list) / (3.92 * Math.sqrt(0.09 / 20))).toBeCloseTo(1, 0);
    expect(width(anonymous) / (3.92 * Math.sqrt(0.09 / 200))).toBeCloseTo(1, 0);
    expect(width(list)).toBeGreaterThan(2 * width(anonymous));
  });

  it('do not exist for one patient, nor where the score is missing in too many replicates', () => {
    const one = HAND_MADE.filter(({ patient }) => patient === 'a');
    const alone = evaluateCases(one, { bootstrap: { random: seededRandom(1) } }).perSlice.scores.auroc;
    expect(alone).toEqual({ value: 1, low: null, high: null, reason: '1 patient: nothing to resample' });
    // One positive patient of three is not drawn in (2/3)^3 = 30 % of the replicates.
    const rare = [toCase('x', 'p', 0.9, 1), toCase('y', 'q', 0.1, 0), toCase('z', 'r', 0.2, 0)];
    const { auroc, specificity } = evaluateCases(rare, { bootstrap: { random: seededRandom(1) } }).perSlice
      .scores;
    expect(auroc).toMatchObject({ value: 1, low: null, high: null });
    expect(auroc.undefinedReplicates! / 2000).toBeCloseTo(8 / 27 + 1 / 27, 1);
    expect(auroc.reason).toMatch(/does not exist in \d+ of 2000 resamples/);
    expect(specificity).toMatchObject({ value: 1, low: 1, high: 1, undefinedReplicates: expect.any(Number) });
  });
});

/** 20 patients of 10 positive and 10 negative slices; in the first two, every positive slice is missed. */
function manySlices(): EvaluatedCase[] {
  const random = seededRandom(11);
  return Array.from({ length: 400 }, (_, i) => {
    const patient = Math.floor(i / 20);
    const label = i % 2;
    const score = label === 1 && patient > 1 ? 0.5 + random() / 2 : random() / 2;
    return toCase(`s${i}`, `p${patient}`, score, label);
  });
}
