/** Ctrl-C and --resume: a run that was stopped anywhere ends as one that was not. */
import { appendFileSync, copyFileSync, existsSync, mkdirSync, watch, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/io/checkpoint.js';
import { type Running, Workplace } from './workplace.js';

const place = new Workplace().phantom();
/** Log lines and validations fall on different iterations, and the phases on others. */
const SETTINGS = {
  'train.max_iters': 11,
  'train.cam_iters': 3,
  'train.aff_label_switch_iter': 6,
  'train.eval_iters': 5,
  'train.log_iters': 4,
  'val.batch_size': 2,
};
const CHECKPOINTS = [
  'best.pth',
  'best_cases.json',
  'last.pth',
  'wetr_iter_10.pth',
  'wetr_iter_11.pth',
  'wetr_iter_5.pth',
];
let config: string;

beforeAll(async () => {
  config = place.config(SETTINGS);
  const whole = await place.train('--config', config, '--work_dir', 'whole');
  expect(whole).toMatchObject({ code: 0 });
});

const start = (workDir: string, ...args: string[]) =>
  place.start('train.js', ['--cpu', '--config', config, '--work_dir', workDir, ...args]);

/** last.pth: where the run stands, its wall clock apart, and all tensors as text. */
function last(workDir: string) {
  const saved = readCheckpoint(place.path(workDir, 'checkpoints', 'last.pth')) as Map<string, unknown>;
  const progress = JSON.parse(saved.get('progress') as string) as {
    iteration: number;
    validated: number;
    log?: object;
  };
  // A string compares fast; matchers walk millions of numbers one by one.
  const tensors = JSON.stringify(
    ['model', 'optimizer', 'rng'].map((name) => saved.get(name)),
    (_, value) => {
      if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
      return value instanceof Map ? [...value] : value;
    },
  );
  // Wall clock, and a folder named by it, are no two runs' alike.
  const log = progress.log && { ...progress.log, board: undefined };
  return { progress: { ...progress, seconds: 0, log }, tensors };
}
const progress = (workDir: string) => last(workDir).progress;

/** Sends SIGINT and checks how the run ends. */
async function interrupt(running: Running, workDir: string, signal: NodeJS.Signals = 'SIGINT') {
  const { code, stdout, stderr } = await running.signal(signal);
  expect(stderr).toContain(
    'Stopping after this step and saving last.pth; press Ctrl-C again to leave at once.',
  );
  expect(stderr).toContain(
    `Stopped by ${signal} after iteration ${progress(workDir).iteration}; go on with --resume`,
  );
  expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
  expect(place.files(workDir)).not.toContain('summary.json');
  expect(place.files(workDir).filter((name) => name.includes('.tmp'))).toEqual([]);
  return progress(workDir);
}

async function finish(workDir: string, ...args: string[]) {
  const { code, stderr, stdout } = await start(workDir, '--resume', ...args).ended;
  expect(stderr).toContain(`Resumed from ${workDir}/checkpoints/last.pth at iteration`);
  expect(code).toBe(0);
  expect(stdout).toContain('slice AUROC');
}

/** Every weight, moment, random state, metric and score is the uninterrupted run's, to the last bit. */
function expectWhole(workDir: string) {
  expect(place.files(workDir, 'checkpoints')).toEqual(CHECKPOINTS);
  for (const name of CHECKPOINTS.filter((file) => file !== 'last.pth')) {
    const [ours, whole] = [workDir, 'whole'].map((folder) => place.read(folder, 'checkpoints', name));
    expect(ours!.equals(whole!), name).toBe(true);
  }
  const [ours, whole] = [last(workDir), last('whole')];
  expect(ours.progress).toEqual(whole.progress);
  expect(ours.tensors === whole.tensors).toBe(true);
  expect(place.metrics(workDir)).toEqual(place.metrics('whole'));
  const summary = (folder: string) => ({ ...place.json(folder, 'summary.json'), seconds: 0, dataWait: 0 });
  expect(summary(workDir)).toEqual(summary('whole'));
  expect(place.files(workDir, 'attention_maps')).toEqual(place.files('whole', 'attention_maps'));
}

describe('a run stopped by Ctrl-C and resumed equals one that was not', () => {
  it('in the classification phase', async () => {
    const running = start('cls');
    await running.says('Iter: 1; phase: classification only');
    const { iteration } = await interrupt(running, 'cls');
    expect(iteration).toBeLessThan(11);
    await finish('cls');
    expectWhole('cls');
  });

  it('twice, the second time in the affinity phase, with worker threads', async () => {
    const first = start('twice', '--set', 'train.num_workers=2');
    await first.says('Iter: 5; phase: CAM labels');
    expect((await interrupt(first, 'twice')).iteration).toBeLessThan(11);
    const second = start('twice', '--resume', '--set', 'train.num_workers=1');
    await second.says('phase: affinity labels');
    expect((await interrupt(second, 'twice')).iteration).toBeGreaterThan(6);
    await finish('twice');
    expectWhole('twice');
  });

  it('during validation, which a resumed run does first; SIGTERM is treated alike', async () => {
    const running = start('validating');
    mkdirSync(place.path('validating', 'checkpoints'), { recursive: true });
    await new Promise<void>((resolve) => {
      // Written just before validation starts.
      const watcher = watch(place.path('validating', 'checkpoints'), (_, name) => {
        if (name !== 'wetr_iter_5.pth' || !existsSync(place.path('validating', 'checkpoints', name))) return;
        watcher.close();
        resolve();
      });
    });
    expect(await interrupt(running, 'validating', 'SIGTERM')).toMatchObject({ iteration: 5, validated: 0 });
    expect(place.metrics('validating').filter(({ kind }) => kind === 'validation')).toEqual([]);
    await finish('validating');
    expectWhole('validating');
  });
});

it('Ctrl-C stops after the step that is under way, not after the next', async () => {
  // A step of a second or more, so that the signal comes amid the first.
  const running = start('long', '--crop_size', '320', '--set', 'train.samples_per_gpu=8');
  await running.says('Training mit_b0');
  expect((await interrupt(running, 'long')).iteration).toBe(1);
});

describe('a run that was killed', () => {
  it('goes on from its last validation and ends the same', async () => {
    const running = start('killed');
    await running.says('Iter: 8; phase: affinity labels');
    expect(await running.signal('SIGKILL')).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect([5, 10]).toContain(progress('killed').validated);
    // A line of a later iteration, and one that was cut short.
    appendFileSync(place.path('killed', 'metrics.jsonl'), '{"kind":"train","iteration":11}\n{"kind":"tr');
    await finish('killed');
    expectWhole('killed');
  });
});

describe('leaving and coming back', () => {
  it('a second Ctrl-C leaves at once; what is under its final name is whole', async () => {
    // 27 million parameters with their moments: writing them takes long enough to be caught at it.
    const running = start('twice_c', '--set', 'backbone.config=mit_b2');
    await running.says('Iter: 1; phase: classification only');
    running.child.kill('SIGINT');
    await running.says('press Ctrl-C again to leave at once');
    const pressed = Date.now();
    const { signal, stderr } = await running.signal('SIGINT');
    expect(signal).toBe('SIGINT');
    expect(Date.now() - pressed).toBeLessThan(1000);
    expect(stderr).not.toContain('go on with --resume');
    const checkpoints = place.files('twice_c', 'checkpoints').filter((name) => !name.startsWith('.'));
    expect(checkpoints).toEqual([]);
  });

  it('a run removes what a killed one was writing, but not what a living one is', async () => {
    const file = (pid: number) => place.path('swept', 'checkpoints', `.last.pth.${pid}-0123456789ab.tmp`);
    mkdirSync(place.path('swept', 'checkpoints'), { recursive: true });
    // Above the largest process number that Linux gives.
    for (const pid of [2 ** 22 + 1, process.pid]) writeFileSync(file(pid), 'half');
    await start('swept', '--set', 'train.max_iters=1', '--set', 'train.cam_iters=1', '--set', 'val.cam=false')
      .ended;
    expect([existsSync(file(2 ** 22 + 1)), existsSync(file(process.pid))]).toEqual([false, true]);
  });

  it('a finished run has nothing to do but to export again', async () => {
    const before = place.metrics('cls');
    const { code, stderr } = await start('cls', '--resume').ended;
    expect(code).toBe(0);
    expect(stderr).toContain('Resumed from cls/checkpoints/last.pth at iteration 11');
    expect(stderr).not.toMatch(/Iter: \d+;|Validation at/);
    expect(place.metrics('cls')).toEqual(before);
    expectWhole('cls');
  });

  it('goes on beyond the old end, and says what is different', async () => {
    const { code, stderr } = await start('cls', '--resume', '--set', 'train.max_iters=13', '--seed', '5')
      .ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/WARNING: .*train\.max_iters: 11 before, now 13/);
    expect(stderr).toMatch(/WARNING: .*train\.seed: 1 before, now 5/);
    expect(stderr).not.toContain('work_dir.dir:');
    expect(place.json('cls', 'summary.json').iterations).toBe(13);
    expect(place.metrics('cls').map(({ iteration }) => iteration)).toEqual([4, 5, 8, 10, 11, 12, 13]);
  });

  it('takes best.pth along into another work directory', async () => {
    const { code, stderr } = await start('moved', '--resume', 'whole/checkpoints/last.pth').ended;
    expect(stderr).not.toContain('Error');
    expect(code).toBe(0);
    const [ours, whole] = ['moved', 'whole'].map((folder) => place.read(folder, 'checkpoints', 'best.pth'));
    expect(ours!.equals(whole!)).toBe(true);
    expect(place.files('moved', 'attention_maps')).toEqual(place.files('whole', 'attention_maps'));
  });
});

describe('a checkpoint that cannot be resumed from', () => {
  /** Runs, expects 2 and one message, and that the work directory is as it was. */
  async function refused(workDir: string, ...args: string[]) {
    const untouched = () => place.files(workDir).filter((name) => !name.endsWith('.log'));
    const before = untouched();
    const saved = before.map((name) => place.read(workDir, name));
    const { code, stdout, stderr } = await start(workDir, ...args).ended;
    expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
    expect(stderr.match(/^Error: /gm)).toHaveLength(1);
    expect(stderr).not.toMatch(/^\s+at |undefined/m);
    expect(untouched()).toEqual(before);
    for (const [i, name] of before.entries())
      expect(saved[i]!.equals(place.read(workDir, name)), name).toBe(true);
    return stderr;
  }

  it('is missing', async () => {
    expect(await refused('absent', '--resume')).toContain(
      'Error: Expected a checkpoint to resume from at absent/checkpoints/last.pth but there is no such file',
    );
  });

  it('holds weights only', async () => {
    const message = await refused('whole', '--resume', 'whole/checkpoints/best.pth');
    expect(message).toContain(
      'Expected a training checkpoint (last.pth) for --resume but whole/checkpoints/best.pth',
    );
  });

  it('is damaged, is a folder, or was written by something else', async () => {
    mkdirSync(place.path('damaged', 'checkpoints'), { recursive: true });
    const whole = place.read('whole', 'checkpoints', 'last.pth');
    writeFileSync(place.path('damaged', 'checkpoints', 'last.pth'), whole.subarray(0, whole.length / 2));
    expect(await refused('damaged', '--resume')).toMatch(
      /Error: Expected .* for damaged\/checkpoints\/last\.pth but/,
    );
    expect(await refused('whole', '--resume', 'whole/checkpoints')).toMatch(
      /Error: .*whole\/checkpoints.*folder/,
    );
    copyFileSync(new URL('../fixtures/io/nested.pth', import.meta.url), place.path('nested.pth'));
    expect(await refused('whole', '--resume', 'nested.pth')).toContain(
      'Expected a training checkpoint (last.pth)',
    );
  });

  it('is of another model', async () => {
    const message = await refused('whole', '--resume', '--set', 'backbone.config=mit_b2');
    expect(message).toContain('Error: whole/checkpoints/last.pth does not fit this model:');
    expect(message).toContain('missing (');
  });

  it('stands beyond the end', async () => {
    const message = await refused('whole', '--resume', '--set', 'train.max_iters=9');
    expect(message).toContain(
      'Expected train.max_iters of at least 11, where whole/checkpoints/last.pth stands, but received 9',
    );
  });
});
