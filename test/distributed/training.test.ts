/** One model trained by several processes, from the command line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../src/distributed/free-port.js';
import { readCheckpoint } from '../../src/io/checkpoint.js';
import { type Ended, observe, type Running, Workplace } from '../e2e/workplace.js';
import { findPython } from '../oracles/python.js';

const place = new Workplace().phantom();
/** Six iterations of all phases; drop path would draw other paths in other processes. */
const SETTINGS = { 'train.max_iters': 6, 'train.eval_iters': 3, 'train.drop_path': 0 };
const config = place.config(SETTINGS);
const together = (workDir: string, ...args: string[]): Running =>
  place.start('train.js', [
    '--cpu',
    '--config',
    config,
    '--work_dir',
    workDir,
    '--nproc_per_node',
    '2',
    ...args,
  ]);

const progressOf = (workDir: string) => {
  const saved = readCheckpoint(place.path(workDir, 'checkpoints/last.pth')) as Map<string, unknown>;
  return JSON.parse(saved.get('progress') as string) as { iteration: number };
};

/** Process ids of the ranks that a launcher has started, by rank. */
function ranksOf(launcher: ChildProcess): Map<number, number> {
  const children = readFileSync(`/proc/${launcher.pid}/task/${launcher.pid}/children`, 'utf8')
    .trim()
    .split(' ');
  return new Map(
    children.map((pid) => {
      const env = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      return [Number(env.find((line) => line.startsWith('RANK='))!.slice(5)), Number(pid)];
    }),
  );
}

/** Numbers of two records that differ by more than rounding. */
function differences(a: unknown, b: unknown, tolerance: number, path = ''): string[] {
  if (typeof a === 'number' && typeof b === 'number')
    return Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)) ? [] : [`${path}: ${a} and ${b}`];
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return a === b ? [] : [`${path}: ${a} and ${b}`];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  const at = (value: object, key: string) => (value as Record<string, unknown>)[key];
  return [...keys].flatMap((key) => differences(at(a, key), at(b, key), tolerance, `${path}.${key}`));
}

describe('two processes', () => {
  it('equal one with the whole batch, in losses, scores, cases and maps', async () => {
    // Classification alone: the head's dropout, of which no key tells, would differ.
    const cls = ['--set', 'train.cam_iters=6'];
    const alone = place.start('train.js', [
      ...['--cpu', '--config', config, '--work_dir', 'one', '--set', 'train.samples_per_gpu=4'],
      ...cls,
    ]);
    const [one, two] = await Promise.all([alone.ended, together('two', ...cls).ended]);
    expect(one.code, one.stderr).toBe(0);
    expect(two.code, two.stderr).toBe(0);
    expect(two.stderr).toContain('Working in 2 processes (gloo)');
    expect(differences(place.metrics('two'), place.metrics('one'), 1e-4)).toEqual([]);
    const cases = (workDir: string) =>
      place.json(workDir, 'checkpoints/best_cases.json').cases as { name: string }[];
    expect(cases('two').map(({ name }) => name)).toEqual(cases('one').map(({ name }) => name));
    const names = (workDir: string) => place.files(workDir, 'cam_npy');
    expect(names('two')).toEqual(names('one'));
    // One process speaks, writes, and is asked for nothing twice.
    expect(two.stdout.match(/slice AUROC/g)).toHaveLength(1);
    expect(two.stderr).not.toContain('[rank 1]');
    expect(place.files('two').filter((file) => file.endsWith('.log'))).toHaveLength(1);
  });

  it('evaluate and export what one does', async () => {
    const args = ['--device', 'cpu', '--config', config, '--work_dir', 'one', '--nproc_per_node'];
    const evaluated = async (processes: string, folder = `predictions-${processes}`) => {
      const own = ['--output_dir', folder, '--json', '--cam'];
      const { code, stdout, stderr } = await place.start('evaluate.js', [...args, processes, ...own]).ended;
      expect(code, stderr).toBe(0);
      const { seconds, outputDir, ...report } = JSON.parse(stdout);
      return report;
    };
    const predictions = (folder: string) => place.files(folder).filter((name) => name.endsWith('.png'));
    const one = await evaluated('1');
    expect(differences(await evaluated('2'), one, 1e-9)).toEqual([]);
    expect(predictions('predictions-2')).toEqual(predictions('predictions-1'));
    // What two processes have scored a later one need not do again, whichever of them had it.
    expect(differences(await evaluated('1', 'predictions-2'), { ...one, reused: 6 }, 1e-9)).toEqual([]);
    const maps = ['--output_dir', 'maps', '--cam_npy_dir', 'cams'];
    const { code, stderr } = await place.start('gen-attn.js', [...args, '3', ...maps]).ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('Wrote 6 maps to maps and cams');
    expect(place.files('maps')).toEqual(place.files('one', 'attention_maps'));
    const again = await place.start('gen-attn.js', [...args, '2', ...maps]).ended;
    expect(again.stderr).toContain('Wrote 0 maps to maps and cams; 6 were there already');
  });

  it('stop together on Ctrl-C, and go on alone or as three', async () => {
    const running = together('stop', '--set', 'train.max_iters=60');
    await running.says('Iter: 3;');
    const { code, stderr } = await running.signal('SIGINT');
    expect(code, stderr).toBe(130);
    const { iteration } = progressOf('stop');
    expect(stderr).toContain(`Stopped by SIGINT after iteration ${iteration}; go on with --resume`);
    const more = ['--set', `train.max_iters=${iteration + 2}`, '--resume'];
    const three = await together('stop', '--nproc_per_node', '3', ...more).ended;
    expect(three.code, three.stderr).toBe(0);
    expect(three.stderr).toContain(
      'is of another number of processes: drop path and dropout draw from new streams',
    );
    const last = ['--set', `train.max_iters=${iteration + 3}`, '--resume'];
    const alone = await place.train('--config', config, '--work_dir', 'stop', ...last);
    expect(alone.code, alone.stderr).toBe(0);
    expect(progressOf('stop').iteration).toBe(iteration + 3);
  });

  it('go on exactly as they would have', async () => {
    const whole = await together('whole').ended;
    expect(whole.code, whole.stderr).toBe(0);
    // Stopped by its length instead of a signal: after the iteration that is wanted, whatever the machine.
    const half = await together('parts', '--set', 'train.max_iters=3', '--set', 'scheduler.power=0').ended;
    expect(half.code, half.stderr).toBe(0);
    const rest = await together('parts', '--resume').ended;
    expect(rest.code, rest.stderr).toBe(0);
    const rngs = (workDir: string) => {
      const saved = readCheckpoint(place.path(workDir, 'checkpoints/last.pth')) as Map<
        string,
        { data: Uint8Array }[]
      >;
      return saved.get('rngs')!.map(({ data }) => Buffer.from(data).toString('base64'));
    };
    expect(rngs('parts')).toEqual(rngs('whole'));
    expect(new Set(rngs('whole')).size).toBe(2);
  });
});

describe('when one process fails', () => {
  const start = async (workDir: string, ...args: string[]) => {
    const running = together(workDir, '--set', 'train.max_iters=2000', ...args);
    await running.says('Iter: 4;'); // behind the first last.pth
    return { running, ranks: ranksOf(running.child) };
  };

  it('killed: the other ends with a message, last.pth is whole, and the launcher says who was first', async () => {
    const { running, ranks } = await start('killed');
    process.kill(ranks.get(1)!, 'SIGKILL');
    const { code, stderr } = await running.ended;
    expect(code).toBe(137);
    expect(stderr).toContain('Rank 1 of 2 failed first, ended by SIGKILL');
    expect(stderr).toMatch(
      /\[rank 0\] Error: \w+\(\): Rank 1 of 2 \(process \d+ on \S+\) no longer answers.* This is rank 0 in (the validation after )?iteration \d+ \(/,
    );
    const { iteration } = progressOf('killed');
    expect(iteration).toBeGreaterThanOrEqual(3);
    expect(stderr).toMatch(
      new RegExp(
        `Iteration \\d+ cannot be finished. killed/checkpoints/last.pth holds iteration ${iteration}: go on|` +
          `Training stopped after iteration ${iteration}, which killed/checkpoints/last.pth holds`,
      ),
    );
    const resumed = await together('killed', '--resume', '--set', `train.max_iters=${iteration + 1}`).ended;
    expect(resumed.code, resumed.stderr).toBe(0);
  });

  it('silent: the other waits for --timeout seconds, not for ever', async () => {
    const { running, ranks } = await start('silent', '--timeout', '4');
    process.kill(ranks.get(1)!, 'SIGSTOP');
    const { code, stderr } = await running.ended;
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/Rank 0 of 2 failed first/);
    expect(stderr).toMatch(
      /Error: \w+\(\): Rank 1 of 2 \(.*\) no longer answers.* This is rank 0 in .*imed out/,
    );
    expect(stderr).toMatch(/holds iteration \d+: go on|Training stopped after iteration \d+/);
  }, 60_000);

  it('the lead, killed: the others name it, and where to go on from', async () => {
    const { running, ranks } = await start('headless', '--nproc_per_node', '3');
    process.kill(ranks.get(0)!, 'SIGKILL');
    const { code, stderr } = await running.ended;
    expect(code).toBe(137);
    for (const rank of [1, 2])
      expect(stderr).toMatch(
        new RegExp(
          `\\[rank ${rank}\\] Error: \\w+\\(\\): Rank 0 of 3 \\(.*\\), which holds the store .* This is rank ${rank} in `,
        ),
      );
    expect(stderr).toMatch(/headless\/checkpoints\/last\.pth holds/);
    expect(progressOf('headless').iteration).toBeGreaterThanOrEqual(3);
  });

  it('throwing, at a slice that only it reads: its own message comes first', async () => {
    const bad = new Workplace().phantom();
    const file = bad.config({ ...SETTINGS, 'train.max_iters': 40 });
    writeFileSync(bad.path('data/imageSlice/LASC_002_03_1.npy'), 'broken');
    const args = ['--cpu', '--config', file, '--work_dir', 'bad', '--nproc_per_node', '2'];
    const { code, stderr } = await bad.start('train.js', args).ended;
    expect([1, 2]).toContain(code);
    expect(stderr).toMatch(
      /Rank [01] of 2 failed first, with exit code [12]\. It said last:\n.*LASC_002_03_1\.npy/,
    );
    // The other one says it too.
    expect(stderr).toMatch(
      /Error: \w+\(\): Rank ([01]) of 2 \(.*\) failed in .*LASC_002_03_1\.npy.* This is rank (?!\1)[01] in /,
    );
  });
});

const python = findPython(['torch']);
const dist = fileURLToPath(new URL('../../dist/train.js', import.meta.url));

/** Starts a training under torchrun. */
function torchrun(workDir: string, ...args: string[]) {
  const flags = ['-m', 'torch.distributed.run', '--no-python', '--nproc_per_node=2', '--standalone'];
  const train = [process.execPath, dist, '--cpu', '--config', config, '--work_dir', workDir, ...args];
  return observe(
    spawn(python!, [...flags, ...train], {
      cwd: place.root,
      env: { ...process.env, OMP_NUM_THREADS: '1', NODE_OPTIONS: '' },
    }),
  );
}

describe.skipIf(!python)('under torchrun', () => {
  it('trains as it is', async () => {
    const { code, stdout, stderr } = await torchrun('torchrun').ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('Working in 2 processes (gloo)');
    expect(stdout.match(/^slice AUROC/gm)).toHaveLength(1);
    expect(place.json('torchrun', 'summary.json').iterations).toBe(6);
  });

  it('names a rank that was killed, though nobody but the other one knows', async () => {
    const running = torchrun('torchrun-killed', '--set', 'train.max_iters=2000');
    await running.says('Iter: 4;');
    process.kill(ranksOf(running.child).get(1)!, 'SIGKILL');
    const { code, stderr } = await running.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /Error: \w+\(\): Rank 1 of 2 \(.*\) no longer answers.* This is rank 0 in iteration \d+ /,
    );
    expect(progressOf('torchrun-killed').iteration).toBeGreaterThanOrEqual(3);
  });
});

describe('processes that were started differently', () => {
  /** As a launcher of the user's starts them: one environment each. */
  async function launched(args: readonly string[][]): Promise<Ended[]> {
    const port = String(await freePort(29700));
    return Promise.all(
      args.map(
        (own, rank) =>
          new Promise<Ended>((resolve, reject) => {
            const env = { RANK: String(rank), WORLD_SIZE: String(args.length), LOCAL_RANK: String(rank) };
            const child = spawn(process.execPath, [dist, '--cpu', '--config', config, ...own], {
              cwd: place.root,
              env: {
                ...process.env,
                ...env,
                MASTER_ADDR: '127.0.0.1',
                MASTER_PORT: port,
                OMP_NUM_THREADS: '1',
              },
            });
            let [stdout, stderr] = ['', ''];
            child.stdout.on('data', (data) => (stdout += data));
            child.stderr.on('data', (data) => (stderr += data));
            child.on('error', reject);
            child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
          }),
      ),
    );
  }

  it.each([
    ['configuration', ['--seed', '5']],
    [
      'list of training images',
      ['--set', 'dataset.root_dir=data/imageSlice', '--set', 'dataset.slice_split=[0, 7]'],
    ],
  ])('all end before anything is written, naming rank and what differs: %s', async (what, others) => {
    const ended = await launched([
      ['--work_dir', 'differ'],
      ['--work_dir', 'differ', ...others],
    ]);
    for (const { code, stderr } of ended) {
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(new RegExp(`to have the same .*${what}.* but rank 1 has another than rank 0`));
    }
    expect(place.files('differ')).toEqual([]);
    rmSync(place.path('differ'), { recursive: true, force: true });
  });
});
