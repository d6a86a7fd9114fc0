/** Which rank was lost: every survivor names that one, none names another survivor, whatever the way in which it went. */
import { describe, expect, it } from 'vitest';
import { runRanks, type Told } from './ranks.js';

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  told: Told | undefined;
  /** Seconds from the last barrier to the error. */
  after: number;
}

/**
 * Ranks that meet, rank `lost` after `end`, the others in a call that it never makes.
 * `others` runs on them before.
 */
async function lose(
  size: number,
  lost: number,
  end: string,
  { others = '', timeout = 20_000 } = {},
): Promise<Ended[]> {
  const results = await runRanks(
    size,
    `
    const pids = [];
    const group = await join({ timeout: ${timeout} });
    pids.push(...await group.allGatherObject(process.pid));
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const busy = (ms) => { for (const end = Date.now() + ms; Date.now() < end; ); };
    group.at('iteration 812');
    await sleep(700);
    await group.barrier();
    const start = performance.now();
    if (rank === ${lost}) { ${end} } else { ${others} }
    const error = await told(group.allReduce(Tensor.ones([1000])));
    report({ ...error, after: (performance.now() - start) / 1000 });
    process.exit(0);`,
    { joins: false, timeout: 40_000 },
  );
  return results.map(({ code, signal, stdout }) => {
    const { after, ...told } = stdout === '' ? { after: Number.NaN } : JSON.parse(stdout);
    return { code, signal, told: stdout === '' ? undefined : told, after };
  });
}

const survivors = (ended: Ended[], lost: number) => ended.filter((_, rank) => rank !== lost);
const place = (rank: number, size: number) => `Rank ${rank} of ${size} \\(process \\d+ on \\S+\\)`;

// Mostly waiting: at the same time, they need little of the machine.
describe.concurrent('a lost rank', () => {
  it.each([
    [2, 0],
    [2, 1],
    [3, 0],
    [3, 1],
  ])('of %i, rank %i killed, is named by all others within seconds', async (size, lost) => {
    const ended = await lose(size, lost, "process.kill(process.pid, 'SIGKILL'); await sleep(1000);");
    expect(ended[lost]!.signal).toBe('SIGKILL');
    for (const { code, told, after } of survivors(ended, lost)) {
      expect(code).toBe(0);
      const how =
        lost === 0
          ? ', which holds the store of all ranks, no longer answers'
          : ' no longer answers, last heard of in iteration 812';
      expect(told!.message).toMatch(
        new RegExp(
          `^allReduce\\(\\): ${place(lost, size)}${how}\\. This is rank ${told!.rank} in iteration 812 \\(`,
        ),
      );
      expect(told).toMatchObject({ code: 'ERR_DISTRIBUTED', op: 'allReduce' });
      // The group's own time-out is 20 s.
      expect(after).toBeLessThan(10);
    }
  });

  it.each([
    [2, 1],
    [3, 0],
    [3, 1],
  ])(
    'of %i, rank %i stopped, is named at the time-out, and says so itself when it goes on',
    async (size, lost) => {
      // Whoever survives wakes it: the last words are then its own.
      const waker = lost === 0 ? 1 : 0;
      const ended = await lose(size, lost, "process.kill(process.pid, 'SIGSTOP');", {
        timeout: 5000,
        others: `if (rank === ${waker}) process.on('exit', () => process.kill(pids[${lost}], 'SIGCONT'));`,
      });
      for (const { told, after } of survivors(ended, lost)) {
        expect(told!.message).toMatch(new RegExp(`${place(lost, size)}.* no longer answers.* \\(.*imed out`));
        expect(after).toBeGreaterThan(4.9);
        expect(after).toBeLessThan(15);
      }
      expect(ended[lost]!.told!.message).toMatch(
        new RegExp(`${place(lost, size)} is this process: it did not run for \\d+ s, stopped or`),
      );
    },
    40_000,
  );

  it.each([0, 1])(
    'that fails, rank %i, is named with its own words, also by one that comes late',
    async (lost) => {
      const ended = await lose(
        3,
        lost,
        "group.failed('slice_3.npy: Expected a file of 12 bytes'); group.failed('another'); process.exit(7);",
        { others: 'if (rank === 2) busy(4000);' },
      );
      expect(ended[lost]!.code).toBe(7);
      for (const { told } of survivors(ended, lost))
        expect(told!.message).toMatch(
          new RegExp(
            `^allReduce\\(\\): ${place(lost, 3)} failed in iteration 812: slice_3\\.npy: Expected a file of 12 bytes\\. This is rank`,
          ),
        );
    },
  );

  it('is named by one that was busy while the others left, not they', async () => {
    const ended = await lose(3, 1, "process.kill(process.pid, 'SIGKILL'); await sleep(1000);", {
      others: 'if (rank === 2) busy(9000);',
    });
    const [first, late] = survivors(ended, 1);
    expect(first!.after).toBeLessThan(late!.after);
    for (const { told } of [first!, late!]) expect(told!.message).toMatch(new RegExp(place(1, 3)));
  });

  it('is not one that answers but does not come: it is said to be behind', async () => {
    const ended = await lose(3, 2, 'busy(14_000); process.exit(0);', { timeout: 5000 });
    for (const { told } of survivors(ended, 2))
      expect(told!.message).toMatch(
        new RegExp(
          `${place(2, 3)} answers, but has not come to the call .*: it is in iteration 812\\. This is rank`,
        ),
      );
  });

  it('of a fault of all, or a call that differs, is nobody', async () => {
    const results = await runRanks(
      3,
      `group.at('the evaluation');
       const error = await told(group.allReduce(Tensor.ones([rank === 1 ? 2 : 3])));
       const start = performance.now();
       group.failed(error.message);
       report({ ...error, after: (performance.now() - start) / 1000 });
       process.exit(1);`,
    );
    for (const { stdout } of results) {
      const { message, after } = JSON.parse(stdout) as Told & { after: number };
      expect(message).toMatch(/Expected the same call on all ranks/);
      expect(after).toBeLessThan(2);
    }
  });
});
