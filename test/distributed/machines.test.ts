/** Process groups between two machines: network namespaces, each with an address of its own, joined by a cable. */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const NAMES = [`afa-${process.pid}-a`, `afa-${process.pid}-b`] as const;
const ADDRESSES = ['10.77.0.1', '10.77.0.2'] as const;
/** The two ends of the cable. */
const ENDS = [`afa${process.pid % 10000}a`, `afa${process.pid % 10000}b`] as const;

const ip = (...args: string[]): boolean => spawnSync('ip', args, { stdio: 'ignore' }).status === 0;

function connect(): boolean {
  if (!NAMES.every((name) => ip('netns', 'add', name))) return false;
  const cable = ip(
    'link',
    'add',
    ENDS[0],
    'netns',
    NAMES[0],
    'type',
    'veth',
    'peer',
    'name',
    ENDS[1],
    'netns',
    NAMES[1],
  );
  return (
    cable &&
    NAMES.every(
      (name, i) =>
        ip('-n', name, 'addr', 'add', `${ADDRESSES[i]}/24`, 'dev', ENDS[i]!) &&
        ip('-n', name, 'link', 'set', ENDS[i]!, 'up') &&
        ip('-n', name, 'link', 'set', 'lo', 'up'),
    )
  );
}

const connected = process.platform === 'linux' && process.getuid?.() === 0 && connect();
if (!connected)
  console.info('Skipped: this process may not make network namespaces (root and `ip` are needed).');
afterAll(() => {
  for (const name of NAMES) ip('netns', 'del', name);
});

/** Runs `code` as rank `rank` on machine `rank`; gives what it printed. */
function onMachine(rank: number, code: string): Promise<{ status: number | null; out: string; err: string }> {
  const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
  const place = {
    RANK: String(rank),
    WORLD_SIZE: '2',
    LOCAL_RANK: '0',
    MASTER_ADDR: ADDRESSES[0],
    MASTER_PORT: '29555',
  };
  const args = [
    'netns',
    'exec',
    NAMES[rank]!,
    process.execPath,
    '--input-type=module',
    '-e',
    code.replaceAll('DIST', dist),
  ];
  const child = spawn('ip', args, { env: { ...process.env, ...place, OMP_NUM_THREADS: '1' } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    err += data;
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, out, err })));
}

const JOIN = `
import { init, readEnvironment } from 'DISTdistributed/index.js';
import { Tensor } from 'DISTtensor/index.js';
const { store, rank, worldSize } = readEnvironment();
const group = await init({ backend: 'gloo', store, rank, worldSize, timeout: 20_000 });
`;

describe.skipIf(!connected)('two machines', () => {
  it('meet by address, and reduce over the cable', async () => {
    const code = `${JOIN}
      const sum = await group.allReduce(Tensor.full([1000], rank + 1));
      const names = await group.allGatherObject('rank ' + rank);
      console.log(JSON.stringify({ sum: sum.sum().item(), names }));
      await group.destroy();`;
    for (const { status, out, err } of await Promise.all([onMachine(0, code), onMachine(1, code)])) {
      expect(status, err).toBe(0);
      expect(JSON.parse(out)).toEqual({ sum: 3000, names: ['rank 0', 'rank 1'] });
    }
  }, 60_000);

  it('one without the other gives up in time, and says which rank did not come', async () => {
    const code = JOIN.replace('20_000', '3_000');
    const { status, err } = await onMachine(0, code);
    expect(status).not.toBe(0);
    expect(err).toMatch(/rank 1/);
  }, 60_000);

  /** Both in step 812, where machine 1 does something that machine 0 can only guess. */
  const lose = (how: string) => {
    const code = `${JOIN.replace('20_000', '5_000')}
      import { execFileSync } from 'node:child_process';
      group.at('step 812');
      await new Promise((resolve) => setTimeout(resolve, 700));
      await group.barrier();
      if (rank === 1) ${how};
      await group.allReduce(Tensor.full([1000], 1)).then(
        () => console.log('no error'),
        (error) => console.log(error.message),
      );
      process.exit();`;
    return Promise.all([onMachine(0, code), onMachine(1, code)]);
  };

  it('the one that remains names a process that was killed, its host and its step', async () => {
    const [mine, killed] = await lose("process.kill(process.pid, 'SIGKILL')");
    expect(killed.out).toBe('');
    expect(mine.out).toMatch(
      /^allReduce\(\): Rank 1 of 2 \(process \d+ on \S+\) no longer answers, last heard of in step 812\. This is rank 0 in step 812 \(.*10\.77\.0\.2/,
    );
  }, 60_000);

  it('each names the other when the cable is cut', async () => {
    const [first, second] = await lose(`execFileSync('ip', ['link', 'set', '${ENDS[1]}', 'down'])`);
    ip('-n', NAMES[1], 'link', 'set', ENDS[1], 'up');
    expect(first.out).toMatch(/Rank 1 of 2 .* no longer answers.* This is rank 0 in step 812 \(.*imed out/);
    expect(second.out).toMatch(
      /Rank 0 of 2 .*, which holds the store of all ranks, no longer answers\. This is rank 1 in step 812/,
    );
  }, 60_000);
});

describe.skipIf(!connected)('the machines of this test', () => {
  it('do not see each other over loopback', () => {
    const reach = spawnSync('ip', ['netns', 'exec', NAMES[1], 'ip', '-o', 'addr'], {
      encoding: 'utf8',
    }).stdout;
    expect(reach).toContain(ADDRESSES[1]);
    expect(reach).not.toContain(ADDRESSES[0]);
  });
});
