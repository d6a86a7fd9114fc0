/** --amp bf16 from the command line: the same training within bfloat16's digits, resumable to the bit, and maps from it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { readStateDict } from '../../src/io/checkpoint.js';
import { type Ended, Workplace } from './workplace.js';

const place = new Workplace().phantom();
const config = place.config();
const train = (...args: string[]) => place.train('--config', config, ...args);
let half: Ended;

beforeAll(async () => {
  expect(await train('--work_dir', 'whole')).toMatchObject({ code: 0 });
  half = await train('--work_dir', 'half', '--amp', 'bf16');
});

const losses = (workDir: string) => {
  const steps = place.metrics(workDir).filter(({ kind }) => kind === 'train');
  return steps.map(({ loss, clsLoss, segLoss, affLoss }) => [loss, clsLoss, segLoss, affLoss] as number[]);
};

describe('--amp bf16', () => {
  it('has the losses of float32 within 2 % before the first update, and goes its own way from there', () => {
    expect(half, half.stderr).toMatchObject({ code: 0 });
    const [whole, ours] = [losses('whole'), losses('half')];
    expect(Math.abs(ours[0]![0]! / whole[0]![0]! - 1)).toBeLessThan(0.02);
    expect(ours).not.toEqual(whole);
    expect(ours.flat().every(Number.isFinite)).toBe(true);
    expect(place.read('half', 'config.yaml').toString()).toMatch(/amp: bf16 +# .*--amp/);
  });

  it('leaves float32 checkpoints', () => {
    const dtypes = [...readStateDict(place.path('half/checkpoints/best.pth')).values()].map((t) => t.dtype);
    expect(new Set(dtypes)).toEqual(new Set(['float32', 'int64']));
  });

  it('resumes to the last bit', async () => {
    const run = place.start('train.js', [
      '--cpu',
      '--config',
      config,
      '--work_dir',
      'again',
      '--amp',
      'bf16',
    ]);
    await run.says('Iter: 3;');
    expect((await run.signal('SIGINT')).code).toBe(130);
    expect(await train('--work_dir', 'again', '--amp', 'bf16', '--resume')).toMatchObject({ code: 0 });
    expect(losses('again')).toEqual(losses('half'));
    const file = 'checkpoints/wetr_iter_8.pth';
    expect(place.read('again', file).equals(place.read('half', file))).toBe(true);
  });

  it('makes other maps than float32, and never takes one for the other', async () => {
    const maps = (...args: string[]) => place.genAttn('--config', config, '--work_dir', 'whole', ...args);
    const again = await maps('--amp', 'bf16');
    expect(again, again.stderr).toMatchObject({ code: 0 });
    expect(place.json('whole', 'cam_npy', '.export.json').amp).toBe('bf16');
  });

  it('is refused by name where it is none', async () => {
    const { code, stderr } = await train('--amp', 'fp16');
    expect(code).toBe(2);
    expect(stderr).toContain("--amp: Expected none or bf16 for train.amp but received string 'fp16'.");
  });
});
