import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { type Best, selectBest, shouldStop } from '../../src/training/selection.js';
import type { ValidationScores } from '../../src/training/validation-scores.js';

const train = (...set: string[]): Config['train'] =>
  loadConfig({ file: 'configs/demo_attn_reg.yaml', set }).config.train;

const SCORES: ValidationScores = {
  images: 9,
  loss: 0.3,
  auroc: 0.9,
  accuracy: 0.8,
  f1: 0.7,
  sensitivity: 0.6,
  specificity: 0.5,
  mAP: 0.4,
  camDice: { '0.20': 0.33 },
  camDiceBest: { threshold: '0.20', dice: 0.33 },
  segDice: 0.22,
  pointingGame: 0.11,
  segScore: { pAcc: 1, mAcc: 1, miou: 0.55, iou: [] },
  camScore: { pAcc: 1, mAcc: 1, miou: 0.45, iou: [] },
  affScore: null,
  reasons: { affScore: 'val.aff is false', auroc: 'needs at least one positive and one negative sample' },
};
const scores = (changes: Partial<ValidationScores>): ValidationScores => ({ ...SCORES, ...changes });

/** Feeds validations at the given iterations; gives the iterations that became best, with their reasons. */
function run(validations: readonly [number, Partial<ValidationScores>][], select: Config['train']['select']) {
  let best: Best | undefined;
  const chosen: [number, string][] = [];
  for (const [iteration, changes] of validations) {
    const better = selectBest(best, iteration, scores(changes), select);
    if (!better) continue;
    best = better.best;
    chosen.push([iteration, better.reason]);
  }
  return { best, chosen };
}

describe('selectBest', () => {
  // The demo's CAM phase begins after iteration 400, counted from 0.
  const { select } = train();

  it('takes the highest AUROC of a medical set, the lower loss between equals, and says why', () => {
    const { chosen } = run(
      [
        [500, { auroc: 0.9 }],
        [600, { auroc: 0.95 }],
        [700, { auroc: 0.94 }],
        [800, { auroc: 0.95, loss: 0.2 }],
        [900, { auroc: 0.95, loss: 0.2 }],
      ],
      select,
    );
    expect(chosen).toEqual([
      [500, 'first validation, validation AUROC 0.9000'],
      [600, 'validation AUROC 0.9500, before 0.9000'],
      [800, 'validation AUROC 0.9500, before 0.9500 (lower loss)'],
    ]);
  });

  it('lets a checkpoint from before the CAM phase yield to any from within it', () => {
    const { chosen } = run(
      [
        [300, { auroc: 0.99 }],
        [401, { auroc: 0.995 }],
        [402, { auroc: 0.6 }],
        [403, { auroc: 0.5 }],
      ],
      select,
    );
    expect(chosen).toEqual([
      [300, 'first validation, validation AUROC 0.9900'],
      [401, 'validation AUROC 0.9950, before 0.9900'],
      [402, 'first validation after iteration 401 (train.select.after), validation AUROC 0.6000'],
    ]);
    expect(
      run(
        [
          [300, { auroc: 0.99 }],
          [402, { auroc: 0.6 }],
        ],
        train('train.select.after=0').select,
      ).best!.iteration,
    ).toBe(300);
  });

  it.each([
    ['loss', 0.3, 0.2],
    ['accuracy', 0.8, 0.9],
    ['segMiou', 0.55, 0.6],
    ['camDice', 0.33, 0.4],
    ['pointingGame', 0.11, 0.2],
  ] as const)('follows train.select.metric: %s', (metric, first, second) => {
    const better: Record<string, Partial<ValidationScores>> = {
      loss: { loss: 0.2 },
      accuracy: { accuracy: 0.9 },
      segMiou: { segScore: { pAcc: 1, mAcc: 1, miou: 0.6, iou: [] } },
      camDice: { camDiceBest: { threshold: '0.20', dice: 0.4 } },
      pointingGame: { pointingGame: 0.2 },
    };
    const { select } = train(`train.select.metric=${metric}`);
    const { best } = run([[500, {}]], select);
    expect([best!.metric, best!.value]).toEqual([metric, first]);
    // Another score that moves the wrong way does not matter.
    const moved = { auroc: 0.1, loss: 0.3, ...better[metric] };
    expect(selectBest(best, 600, scores(moved), select)!.best.value).toBe(second);
  });

  it('falls back to the loss where the metric is undefined, and says why', () => {
    const { chosen } = run(
      [
        [500, { auroc: null, loss: 0.5 }],
        [600, { auroc: null, loss: 0.4 }],
        [700, { auroc: 0.2, loss: 0.9 }],
        [800, { auroc: null, loss: 0.1 }],
      ],
      select,
    );
    const why = '(AUROC is undefined: needs at least one positive and one negative sample)';
    expect(chosen).toEqual([
      [500, `first validation, validation loss 0.5000 ${why}`],
      [600, `validation loss 0.4000, before 0.5000 ${why}`],
      [700, 'validation AUROC 0.2000, which was undefined before'],
    ]);
    const { select: aff } = train('train.select.metric=affMiou');
    expect(selectBest(undefined, 500, SCORES, aff)!.reason).toContain(
      'affinity CAM mIoU is undefined: val.aff is false',
    );
  });

  it('is mIoU for VOC and COCO unless told otherwise', () => {
    const of = (name: string) =>
      train(`dataset.name=${name}`, 'dataset.name_list_dir=lists', 'dataset.num_classes=21').select.metric;
    expect([of('voc'), of('coco'), of('lasc')]).toEqual(['segMiou', 'segMiou', 'auroc']);
  });
});

describe('shouldStop', () => {
  const best = { iteration: 600, eligible: true, metric: 'auroc', value: 1, scores: SCORES } as const;

  it.each([
    ['never, by default', best, 900, [], false],
    ['not yet', best, 800, ['train.early_stop=3', 'train.eval_iters=100'], false],
    [
      'after three validations without a better one',
      best,
      900,
      ['train.early_stop=3', 'train.eval_iters=100'],
      true,
    ],
    [
      'not for a place holder',
      { ...best, eligible: false },
      900,
      ['train.early_stop=1', 'train.eval_iters=100'],
      false,
    ],
  ] as const)('%s', (_, candidate, iteration, set, stops) => {
    expect(shouldStop(candidate, iteration, train(...set))).toBe(stops);
  });
});
