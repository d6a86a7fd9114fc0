import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CAM_THRESHOLD_KEYS,
  CamAccumulator,
  caseRows,
  dice,
  type EvaluatedCase,
  evaluateCases,
  hausdorff95,
  LOCALISATION_SCORES,
  type MapMeasurement,
  measureLabels,
  measureMap,
  patientRows,
  SegDiceAccumulator,
} from '../../src/metrics/index.js';
import { seededRandom } from './metrics-arbitraries.js';

const f32 = (...values: number[]) => Float32Array.from(values);
const u8 = (...values: number[]) => Uint8Array.from(values);

/** Maps with values on and between thresholds, masks of two classes and ignored pixels. */
const image = fc.integer({ min: 1, max: 40 }).chain((pixels) => {
  const size = { minLength: pixels, maxLength: pixels };
  const value = fc.oneof(
    fc.integer({ min: 0, max: 20 }).map((k) => k / 20),
    fc.double({ min: 0, max: 1, noNaN: true }),
  );
  return fc.record({
    map: fc.array(value, size).map((values) => Float32Array.from(values)),
    mask: fc.array(fc.constantFrom(0, 0, 1, 1, 2, 255), size).map((values) => Uint8Array.from(values)),
  });
});

/** Average precision from its definition, one threshold for each pixel's value. */
function exactAveragePrecision(map: Float32Array, mask: Uint8Array): number {
  const valid = [...mask.keys()].filter((i) => mask[i] !== 255);
  const positive = valid.filter((i) => mask[i] === 1);
  const precisionAt = (value: number) => {
    const predicted = valid.filter((i) => map[i]! >= value);
    return predicted.filter((i) => mask[i] === 1).length / predicted.length;
  };
  return positive.reduce((sum, i) => sum + precisionAt(map[i]!), 0) / positive.length;
}

describe('measureMap', () => {
  it('measures a hand-made map', () => {
    const map = f32(0.9, 0.6, 0.3, 0, 0.95);
    const mask = u8(1, 0, 1, 0, 255);
    const result = measureMap(map, mask, {
      surface: { height: 1, width: 5, spacing: [2, 2], thresholds: ['0.25'] },
    });
    const at = (key: string) => CAM_THRESHOLD_KEYS.indexOf(key);
    expect(result).toMatchObject({ pixels: 4, actual: 2, hit: true, notNumbers: 0 });
    expect([result.predicted[at('0.25')], result.intersection[at('0.25')]]).toEqual([3, 2]);
    expect([result.predicted[at('0.50')], result.intersection[at('0.50')]]).toEqual([2, 1]);
    expect([result.predicted[at('0.95')], result.intersection[at('0.95')]]).toEqual([0, 0]);
    // Precision at the positives 0.9 and 0.3: 1/1 and 2/3.
    expect(result.pixelAp).toBeCloseTo((1 + 2 / 3) / 2, 15);
    // Borders {0, 1, 2} and {0, 2}: distances 0, 1, 0; the 95th percentile lies 0.9 of the way from 0 to 1.
    expect(result.hd95![at('0.25')]).toBeCloseTo(0.9, 12);
    expect(result.hd95Mm![at('0.25')]).toBeCloseTo(1.8, 12);
    expect(result.hd95!.filter((value) => value !== null)).toHaveLength(1);
  });

  it('counts as the accumulators for training do, at every threshold', () => {
    fc.assert(
      fc.property(image, fc.constantFrom(1, 2), ({ map, mask }, classIndex) => {
        const cam = new CamAccumulator();
        cam.add(map, mask, classIndex);
        const theirs = cam.result();
        const ours = measureMap(map, mask, { classIndex });
        expect(ours.actual > 0).toBe(theirs.slices === 1);
        if (ours.actual === 0) return;
        expect(Number(ours.hit)).toBe(theirs.pointingGame);
        for (const [t, key] of CAM_THRESHOLD_KEYS.entries()) {
          expect(dice(ours.intersection[t]!, ours.predicted[t]!, ours.actual)).toBe(theirs.camDice![key]);
        }
      }),
    );
  });

  it('has the average precision of a thousand steps', () => {
    fc.assert(
      fc.property(image, ({ map, mask }) => {
        const { pixelAp, actual } = measureMap(map, mask);
        if (actual === 0) expect(pixelAp).toBeNull();
        else {
          // Bins are (k/1000, (k+1)/1000]: their upper ends tie exactly what a bin ties.
          const rounded = map.map((value) => Math.ceil(value * 1000) / 1000);
          const edges = map.every((value, i) => Math.abs(value - rounded[i]!) > 1e-6 || value === 0);
          if (edges) expect(pixelAp).toBeCloseTo(exactAveragePrecision(rounded, mask), 12);
        }
      }),
    );
  });

  it('is within 0.001 of the exact average precision on a smooth map', () => {
    const random = seededRandom(2);
    const map = Float32Array.from({ length: 4096 }, (_, i) => {
      const distance = Math.hypot(Math.floor(i / 64) - 30, (i % 64) - 30);
      return Math.exp(-(distance ** 2) / 300) * (0.8 + 0.2 * random());
    });
    const mask = Uint8Array.from({ length: 4096 }, (_, i) =>
      Number(Math.hypot(Math.floor(i / 64) - 33, (i % 64) - 27) < 12),
    );
    const exact = exactAveragePrecision(map, mask);
    expect(exact).toBeGreaterThan(0.5);
    expect(Math.abs(measureMap(map, mask).pixelAp! - exact)).toBeLessThan(0.001);
  });

  it('measures labels as a map that is 0 or 1', () => {
    fc.assert(
      fc.property(image, ({ map, mask }) => {
        const labels = Uint8Array.from(map, (value) => Number(value > 0.5));
        const surface = { height: 1, width: mask.length };
        const ours = measureLabels(labels, mask, { surface });
        const soft = measureMap(Float32Array.from(labels), mask, { surface });
        expect(ours.predicted).toEqual([soft.predicted[9]]);
        expect(ours.intersection).toEqual([soft.intersection[9]]);
        expect(ours.hd95).toEqual([soft.hd95![9]]);
        const seg = new SegDiceAccumulator();
        seg.add(labels, mask);
        const expected = seg.result().segDice;
        if (expected !== null)
          expect(dice(ours.intersection[0]!, ours.predicted[0]!, ours.actual)).toBe(expected);
      }),
    );
  });

  it('has the distances of the regions', () => {
    const map = Float32Array.from({ length: 48 }, (_, i) => (i % 8) / 8);
    const mask = Uint8Array.from({ length: 48 }, (_, i) => Number(i > 20 && i % 8 > 4));
    const { hd95, hd95Mm } = measureMap(map, mask, { surface: { height: 6, width: 8, spacing: [2, 0.5] } });
    for (const [t, key] of CAM_THRESHOLD_KEYS.entries()) {
      const region = map.map((value) => Number(value > Math.fround(Number(key))));
      expect(hd95![t]).toBe(hausdorff95(region, mask, 6, 8));
      expect(hd95Mm![t]).toBe(hausdorff95(region, mask, 6, 8, [2, 0.5]));
    }
    expect(hd95![18]).toBeNull();
  });

  it('refuses other sizes and thresholds', () => {
    expect(() => measureMap(f32(1), u8(1, 0))).toThrow('map as in the mask (2) but received 1');
    expect(() => measureLabels(u8(1), u8(1, 0))).toThrow('map as in the mask (2) but received 1');
    const surface = { height: 2, width: 2 };
    expect(() => measureMap(f32(1), u8(1), { surface })).toThrow('2 x 2 pixels in the mask but received 1');
    expect(() =>
      measureMap(f32(1), u8(1), { surface: { height: 1, width: 1, thresholds: ['0.5'] } }),
    ).toThrow('"0.05" to "0.95" in steps of 0.05 but received "0.5"');
  });
});

const surface = { height: 1, width: 4 };
const found = measureMap(f32(0.9, 0.6, 0.3, 0), u8(1, 0, 1, 0), { surface });
const missed = measureMap(f32(0, 0.1, 0.1, 0.1), u8(1, 0, 0, 0), { surface });
const clean = measureMap(f32(0.9, 0, 0, 0), u8(0, 0, 0, 0), { surface });

function slice(
  name: string,
  patient: string,
  label: number,
  score: number,
  cam: MapMeasurement | null,
): EvaluatedCase {
  return { name, patient, labels: [label], scores: [score], localisation: { cam: [cam] } };
}

const CASES = [
  slice('a1', 'a', 1, 0.9, found),
  slice('a2', 'a', 0, 0.7, clean),
  slice('b1', 'b', 1, 0.8, missed),
  slice('b2', 'b', 0, 0.2, clean),
  slice('b3', 'b', 1, 0.6, measureMap(f32(1, 1, 1, 1), u8(0, 0, 0, 0), { surface })),
  slice('b4', 'b', 0, 0.6, measureMap(f32(1, 1, 1, 1), u8(1, 0, 0, 0), { surface })),
  slice('b5', 'b', 1, 0.6, null),
];

describe('localisation of evaluateCases', () => {
  it('scores positives and negatives by hand-made numbers', () => {
    const { cam } = evaluateCases(CASES, { mapThresholds: { cam: '0.25' } }).localisation;
    expect(cam).toMatchObject({ threshold: '0.25', thresholdFrom: 'given' });
    expect(cam!.perClass[0]!.slices).toEqual({ positive: 2, negative: 2, emptyMask: 1, unlabelledMask: 1 });
    const values = Object.fromEntries(LOCALISATION_SCORES.map((name) => [name, cam!.scores[name].value]));
    expect(values).toEqual({
      dice: (4 / 5 + 0) / 2,
      iou: (2 / 3 + 0) / 2,
      missRate: 1 / 2,
      // Only where something is predicted; three pixels against two: see measureMap's hand-made map.
      hd95: found.hd95![4],
      hd95Mm: null,
      pointingGame: 1 / 2,
      pixelAp: (found.pixelAp! + missed.pixelAp!) / 2,
      falsePositiveArea: 1 / 4,
      // The classifier calls only the first of the two negatives positive.
      falsePositiveAreaCalled: 1 / 8,
    });
    expect(cam!.scores.hd95Mm.reason).toBe('the pixel spacing is known for 0 of 1 images');
  });

  it('chooses no threshold on test data: it names the best as oracle only', () => {
    const { cam } = evaluateCases(CASES).localisation;
    expect(cam).toMatchObject({
      threshold: null,
      thresholdFrom: null,
      oracle: { threshold: '0.05', dice: 0.4 },
    });
    expect(cam!.scores.dice).toMatchObject({
      value: null,
      reason: 'no threshold was chosen on validation data',
    });
    expect(cam!.scores.pointingGame.value).toBe(0.5);
    const chosen = evaluateCases(CASES, { chooseMapThresholds: true }).localisation.cam!;
    expect(chosen).toMatchObject({ threshold: '0.05', thresholdFrom: 'these cases' });
    expect(chosen.scores.dice.value).toBe(0.4);
    const given = evaluateCases(CASES, { chooseMapThresholds: true, mapThresholds: { cam: '0.50' } });
    expect(given.localisation.cam).toMatchObject({ threshold: '0.50', thresholdFrom: 'given' });
  });

  it('sweeps every threshold', () => {
    const { sweep } = evaluateCases(CASES).localisation.cam!;
    for (const [t, key] of sweep!.thresholds.entries()) {
      const { scores } = evaluateCases(CASES, { mapThresholds: { cam: key } }).localisation.cam!;
      expect([sweep!.dice[t], sweep!.iou[t], sweep!.falsePositiveArea[t]]).toEqual([
        scores.dice.value,
        scores.iou.value,
        scores.falsePositiveArea.value,
      ]);
    }
  });

  it('serves label maps beside soft maps', () => {
    const seg = measureLabels(u8(1, 1, 0, 0), u8(1, 0, 1, 0), { surface: { ...surface, spacing: [3, 3] } });
    const both = { name: 'x', labels: [1], scores: [0.9], localisation: { cam: [found], seg: [seg] } };
    const { localisation } = evaluateCases([both]);
    expect(Object.keys(localisation)).toEqual(['cam', 'seg']);
    expect(localisation.seg).toMatchObject({
      threshold: null,
      thresholdFrom: 'label map',
      sweep: null,
      oracle: null,
    });
    expect(localisation.seg!.scores.dice.value).toBe(0.5);
    expect(localisation.seg!.scores.hd95Mm.value).toBe(3 * localisation.seg!.scores.hd95.value!);
    expect(localisation.seg!.scores.pixelAp.reason).toContain('no ranking');
    const mixed = [both, { ...both, localisation: { cam: [seg] } }];
    expect(() => evaluateCases(mixed)).toThrow('soft maps or label maps for "cam" but received both');
    expect(() => evaluateCases([both], { mapThresholds: { seg: '0.50' } })).toThrow(
      'no threshold for the label map',
    );
    expect(() => evaluateCases([both], { mapThresholds: { cam: '0.33' } })).toThrow('steps of 0.05');
  });

  it('resamples patients, as copying their slices does', () => {
    const random = seededRandom(9);
    const list = Array.from({ length: 60 }, (_, i) => {
      const [label, map] = [Number(random() < 0.6), Float32Array.from({ length: 16 }, random)];
      const mask = Uint8Array.from({ length: 16 }, () => Number(label === 1 && random() < 0.4));
      const cam = measureMap(map, mask, { surface: { height: 4, width: 4 } });
      return slice(`s${i}`, `p${i % 7}`, label, random(), cam);
    });
    const [replicates, mapThresholds] = [60, { cam: '0.45' }];
    const draw = seededRandom(3);
    const byHand = Array.from({ length: replicates }, () => {
      const drawn = Array.from({ length: 7 }, () => `p${Math.floor(draw() * 7)}`);
      const copies = drawn.flatMap((patient) => list.filter((one) => one.patient === patient));
      return evaluateCases(copies, { mapThresholds }).localisation.cam!.scores;
    });
    const bootstrap = { random: seededRandom(3), replicates, confidence: 0.9 };
    const { scores } = evaluateCases(list, { mapThresholds, bootstrap }).localisation.cam!;
    expect(scores.dice.high!).toBeGreaterThan(scores.dice.low!);
    for (const name of LOCALISATION_SCORES.filter((one) => one !== 'hd95Mm')) {
      const sorted = byHand.map((one) => one[name].value!).sort((x, y) => x - y);
      const at = 0.05 * (replicates - 1);
      const low = sorted[Math.floor(at)]! + (sorted[Math.ceil(at)]! - sorted[Math.floor(at)]!) * (at % 1);
      expect(scores[name].low, name).toBeCloseTo(low, 12);
      expect(scores[name].high!).toBeGreaterThanOrEqual(scores[name].low!);
    }
  });

  it('gives null with a reason where nothing can be scored', () => {
    const reasons = (list: EvaluatedCase[], mapThresholds = { cam: '0.25' }) => {
      const { scores } = evaluateCases(list, { mapThresholds }).localisation.cam!;
      for (const name of LOCALISATION_SCORES)
        expect(scores[name].value === null).toBe(
          'reason' in scores[name] && scores[name].reason !== 'no intervals were asked for',
        );
      return Object.fromEntries(LOCALISATION_SCORES.map((name) => [name, scores[name].reason]));
    };
    expect(reasons([slice('x', 'p', 0, 0.5, clean)]).dice).toBe('there is no positive image with a mask');
    expect(reasons([slice('x', 'p', 1, 0.5, clean)]).dice).toContain('none of the 1 positive images');
    expect(reasons([slice('x', 'p', 1, 0.5, found)]).falsePositiveArea).toContain('no negative image');
    expect(reasons([slice('x', 'p', 1, 0.5, missed)]).hd95).toBe(
      'nothing is predicted in any positive image',
    );
    const unmeasured = measureMap(f32(0.9, 0), u8(1, 0));
    expect(reasons([slice('x', 'p', 1, 0.5, unmeasured)]).hd95).toBe(
      'surface distances were measured for 0 of 1 images',
    );
    const broken = measureMap(f32(NaN, 0), u8(1, 0));
    expect(reasons([slice('x', 'p', 1, 0.5, broken), slice('y', 'p', 1, 0.5, found)]).pointingGame).toBe(
      '1 of 2 maps hold NaN',
    );
  });
});

describe('rows', () => {
  const evaluation = evaluateCases(CASES, { mapThresholds: { cam: '0.25' } });

  it('keep the numbers of every case', () => {
    const rows = caseRows(CASES, evaluation);
    expect(rows).toHaveLength(CASES.length);
    expect(rows[0]).toMatchObject({ name: 'a1', patient: 'a', labels: [1], scores: [0.9] });
    expect(rows[0]!.localisation.cam![0]).toMatchObject({
      kind: 'positive',
      dice: 0.8,
      falsePositiveArea: null,
    });
    expect(rows[3]!.localisation.cam![0]).toMatchObject({
      kind: 'negative',
      dice: null,
      falsePositiveArea: 0.25,
      falsePositiveAreaCalled: 0,
    });
    expect(rows[6]!.localisation.cam).toEqual([null]);
    const mean = rows
      .map((row) => row.localisation.cam![0]?.dice)
      .filter((value) => typeof value === 'number');
    expect(mean.reduce((sum, value) => sum + value, 0) / mean.length).toBe(
      evaluation.localisation.cam!.scores.dice.value,
    );
    expect(JSON.parse(JSON.stringify(rows))).toEqual(rows);
  });

  it('sum up every patient', () => {
    const rows = patientRows(CASES, evaluation);
    expect(
      rows.map(({ patient, slices, positives, scores }) => [patient, slices, positives, scores]),
    ).toEqual([
      ['a', 2, [1], [0.9]],
      ['b', 5, [3], [0.8]],
    ]);
    expect(rows.map((row) => row.localisation.cam![0]!.dice)).toEqual([0.8, 0]);
    expect(rows[1]!.localisation.cam![0]!.hd95).toBeNull();
  });
});
