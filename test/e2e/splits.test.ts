/** Splits as a user meets them: what is said, refused and written down. */
import { describe, expect, it } from 'vitest';
import { Workplace } from './workplace.js';

const SHORT = { 'train.max_iters': 1, 'train.cam_iters': 0, 'train.eval_iters': 1 };
/** Slices 6 to 8 of the phantom's patient LASC_001 validate, 9 to 11 train. */
const CUT = { ...SHORT, 'dataset.slice_split': [0, 9] };
const place = new Workplace().phantom();

describe('an index split that cuts through a patient', () => {
  it('is said loudly, and kept in summary.json', async () => {
    const { code, stderr } = await place.train('--config', place.config(CUT));
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /WARN.*One patient is in training and in validation: LASC_001\. Scores will be too good/,
    );
    expect(stderr).toMatch(/train: 15 samples \(\d+ positive\) of 3 patients, list [0-9a-f]{12}/);
    expect(stderr).toMatch(/val: 9 samples \(\d+ positive\) of 2 patients, list [0-9a-f]{12}/);
    expect(place.json('work', 'summary.json').splits).toMatchObject({
      train: { samples: 15, patients: 3 },
      val: { samples: 9, patients: 2 },
      shared: ['LASC_001'],
    });
  });

  it('is refused when the configuration is strict, before anything is written', async () => {
    const strict = { ...CUT, 'dataset.strict_split': true, 'work_dir.dir': 'strict' };
    const { code, stderr } = await place.train('--config', place.config(strict));
    expect(code).toBe(2);
    expect(stderr).toMatch(/Expected no patient on both sides \(dataset\.strict_split\)/);
    expect(place.files('strict')).toEqual([]);
  });
});

it('a split by patient trains, validates and exports its own part', async () => {
  const config = place.config({ ...SHORT, 'work_dir.dir': 'by-patient', 'dataset.slice_split': undefined });
  const by = ['--set', 'dataset.split.by=patient', '--set', 'dataset.split.val=0.25'];
  const { code, stderr } = await place.train('--config', config, ...by, '--set', 'dataset.split.train=0.75');
  expect(stderr).not.toMatch(/WARN/);
  expect(code).toBe(0);
  const maps = place
    .files('by-patient', 'cam_npy')
    .filter((name) => name.endsWith('_0.npy') || /_1\.npy$/.test(name));
  expect(maps).toHaveLength(6);
  expect(new Set(maps.map((name) => name.slice(0, 8))).size).toBe(1);
});
