/** Which checkpoint is the best, and scores that do not exist: null with a reason, never 0. */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Workplace } from './workplace.js';

type Validation = { kind: string; iteration: number; auroc: number | null; loss: number };

/** Trains on slices of the phantom with seed 3, whose first six labels are 1 0 1 1 1 1. */
async function trained(place: Workplace, settings: Record<string, unknown>) {
  const ended = await place.train('--config', place.config(settings));
  expect(ended.code, ended.stderr).toBe(0);
  return {
    ...ended,
    summary: place.json('work', 'summary.json') as Record<string, unknown> & { reasons: object },
    validations: place.metrics().filter(({ kind }) => kind === 'validation') as unknown as Validation[],
  };
}
const MAP_SCORES = ['camDice', 'segDice', 'pointingGame', 'segScore', 'camScore', 'affScore'] as const;
/** Every score of maps, with one value. */
const mapScores = <T>(value: T) => Object.fromEntries(MAP_SCORES.map((name) => [name, value]));
const NO_MAPS = { ...mapScores(null), camDiceBest: null };

describe('best.pth', () => {
  it('is the highest AUROC of the CAM phase, and the lowest loss among equals', async () => {
    const place = new Workplace().phantom();
    const { summary, validations, stderr } = await trained(place, {
      'train.max_iters': 12,
      'train.cam_iters': 5,
      'train.aff_label_switch_iter': 8,
      'train.eval_iters': 2,
      'val.cam': false,
    });
    expect(validations.map(({ iteration }) => iteration)).toEqual([2, 4, 6, 8, 10, 12]);
    // Iterations are counted from 0 for the phases: the seventh is the first with CAM labels.
    const [best] = validations
      .filter(({ iteration }) => iteration > 6)
      .sort((a, b) => b.auroc! - a.auroc! || a.loss - b.loss);
    expect(summary).toMatchObject({
      bestIteration: best!.iteration,
      bestMetric: { name: 'auroc', value: best!.auroc },
      auroc: best!.auroc,
    });
    expect(stderr).toContain(
      'New best checkpoint: first validation after iteration 6 (train.select.after), validation AUROC',
    );
    expect(summary).toMatchObject(NO_MAPS);
    expect(summary.reasons).toEqual(mapScores('val.cam is false'));
  });

  it.each([
    { kind: 'negative', slices: [2, 6], images: 4 },
    { kind: 'positive', slices: [1, 2], images: 1 },
  ])(
    'is the lowest loss where validation has no $kind, and the log says so',
    async ({ kind, slices, images }) => {
      const place = new Workplace().phantom();
      const { summary, validations, stderr, stdout } = await trained(place, {
        'dataset.slice_split': slices,
        'train.eval_iters': 2,
      });
      expect(stderr).toMatch(new RegExp(`New best checkpoint: .*AUROC is undefined: .*${kind}`));
      expect(stdout).toMatch(/slice AUROC +n\/a/);
      expect(summary).toMatchObject({ auroc: null, images, bestMetric: { name: 'loss' } });
      expect(summary.reasons).toHaveProperty('auroc');
      const losses = validations.filter(({ iteration }) => iteration > 3).map(({ loss }) => loss);
      expect(summary.loss).toBe(Math.min(...losses));
      if (kind === 'positive') {
        expect(summary).toMatchObject({ camDice: null, segDice: null, pointingGame: null });
        for (const score of ['camDice', 'segDice', 'pointingGame'])
          expect(summary.reasons).toHaveProperty(score, expect.stringMatching(/positive/));
      }
    },
  );
});

describe('masks', () => {
  it('absent: no score of maps, with the reason, and all else as ever', async () => {
    const place = new Workplace().phantom();
    rmSync(place.path('data', 'masks'), { recursive: true });
    const { summary, stdout } = await trained(place, {});
    const why = 'no masks beside the images';
    expect(summary).toMatchObject({ ...NO_MAPS, reasons: mapScores(why) });
    expect(summary.auroc).toEqual(expect.any(Number));
    for (const row of ['pointing game', 'CAM Dice, best', 'segmentation Dice'])
      expect(stdout).toMatch(new RegExp(`^${row} +n/a$`, 'm'));
    expect(place.files('work', 'attention_maps')).toHaveLength(6);
  });

  it('of some slices: those count', async () => {
    const place = new Workplace().phantom();
    for (const name of ['LASC_000_00_1.npy', 'LASC_000_01_0.npy', 'LASC_000_02_1.npy', 'LASC_000_03_1.npy'])
      rmSync(place.path('data', 'masks', name));
    const { summary } = await trained(place, {});
    // Of two slices, the share of hits is 0, 1/2 or 1.
    expect([0, 0.5, 1]).toContain(summary.pointingGame);
    expect(summary).toMatchObject({ images: 6, reasons: {} });
    expect(summary.camDice).toEqual(expect.any(Object));
  });
});
