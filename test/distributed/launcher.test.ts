/** Starting the ranks of one machine: variables, output, ports, signals, failures. */
import { EventEmitter } from 'node:events';
import { createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type LaunchOptions, launch } from '../../src/distributed/launcher.js';

/** Runs code in every rank and gathers what the user would see. */
async function run(code: string, options: Partial<LaunchOptions> = {}) {
  const said: string[] = [];
  const seen = { out: '', err: '' };
  const gather = (name: keyof typeof seen) => {
    const stream = new PassThrough();
    stream.on('data', (chunk) => {
      seen[name] += chunk;
    });
    return stream;
  };
  const exit = await launch({
    command: [process.execPath, '-e', code],
    processes: 2,
    stdout: gather('out'),
    stderr: gather('err'),
    say: (message) => said.push(message),
    signals: new EventEmitter(),
    ...options,
  });
  const lines = (text: string) => text.split('\n').filter(Boolean).sort();
  return { exit, said, out: lines(seen.out), err: lines(seen.err) };
}

describe('launch', () => {
  it("gives every rank torchrun's variables, and its lines a prefix", async () => {
    const { exit, out, err, said } = await run(
      `const e = process.env;
       process.stdout.write([e.RANK, e.LOCAL_RANK, e.WORLD_SIZE, e.LOCAL_WORLD_SIZE, e.MASTER_ADDR].join(' ') + '\\nlast, ä');
       console.error('to err');`,
      { nodes: 2, nodeRank: 1, masterAddr: 'host', masterPort: 4000 },
    );
    expect([exit, said]).toEqual([0, []]);
    expect(out).toEqual([
      '[rank 2] 2 0 4 2 host',
      '[rank 2] last, ä',
      '[rank 3] 3 1 4 2 host',
      '[rank 3] last, ä',
    ]);
    expect(err).toEqual(['[rank 2] to err', '[rank 3] to err']);
  });

  it('takes the next free port when one is in use, and says so', async () => {
    const server = createServer().listen(0);
    const { port } = server.address() as { port: number };
    const { out, said } = await run('console.log(process.env.MASTER_PORT)', { masterPort: port });
    server.close();
    const [first, second] = out.map((line) => Number(line.split('] ')[1]));
    expect(first).toBe(second);
    expect(first).toBeGreaterThan(port);
    expect(said).toEqual([`Port ${port} is in use: the processes meet at port ${first}`]);
  });

  it('passes on the code and the words of the rank that failed first, and ends the others', async () => {
    const { exit, said } = await run(
      `if (process.env.RANK === '1') { console.error('Error: no such slice'); process.exitCode = 7; }
       else { process.on('SIGTERM', () => process.exit(9)); setInterval(() => {}, 1000); }`,
      { grace: 200 },
    );
    expect(exit).toBe(7);
    expect(said).toEqual(['Rank 1 of 2 failed first, with exit code 7. It said last:\nError: no such slice']);
  });

  it('kills a rank that does not end, and gives 128 and the number of a signal', async () => {
    const { exit, said } = await run(
      `if (process.env.RANK === '0') process.kill(process.pid, 'SIGKILL');
       process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`,
      { grace: 200 },
    );
    expect(exit).toBe(137);
    expect(said).toEqual(['Rank 0 of 2 failed first, ended by SIGKILL']);
  });

  it('sends Ctrl-C to every rank once', async () => {
    const signals = new EventEmitter();
    let ready = 0;
    const stdout = new PassThrough();
    let seen = '';
    stdout.on('data', (chunk) => {
      seen += chunk;
      if (/ready/.test(String(chunk)) && ++ready === 2) signals.emit('SIGINT', 'SIGINT');
    });
    const { exit } = await run(
      `let count = 0;
       process.on('SIGINT', () => { if (++count === 1) setTimeout(() => { console.log('count', count); process.exit(0); }, 200); });
       setInterval(() => {}, 1000); console.log('ready');`,
      { signals, stdout },
    );
    expect(exit).toBe(0);
    expect(seen.match(/count 1/g)).toHaveLength(2);
    expect(signals.listenerCount('SIGINT')).toBe(0);
  });

  it('ends every rank at once on a second Ctrl-C, also one that takes no signal', async () => {
    const signals = new EventEmitter();
    let ready = 0;
    const stdout = new PassThrough();
    stdout.on('data', (chunk) => {
      ready += String(chunk).match(/ready/g)?.length ?? 0;
      if (ready === 2) signals.emit('SIGINT', 'SIGINT');
      if (ready === 4) signals.emit('SIGINT', 'SIGINT');
    });
    const start = Date.now();
    const { exit, said } = await run(
      `process.on('SIGINT', () => {
         // As an Interrupt: the second signal has its default, which ends a process that computes.
         if (process.env.RANK === '0') process.removeAllListeners('SIGINT');
         console.log('ready');
       });
       setInterval(() => {}, 1000); console.log('ready');`,
      { signals, stdout, hurriedGrace: 300, grace: 60_000 },
    );
    expect(exit).toBe(130);
    expect(said, 'the user knows why').toEqual([]);
    expect(Date.now() - start).toBeLessThan(20_000);
  });

  it('says when the program cannot be started', async () => {
    const { exit, said } = await run('', { command: ['/nowhere/node'] });
    expect(exit).toBe(1);
    expect(said[0]).toMatch(/^Rank \d of 2 failed first, it could not be started: .*ENOENT/);
  });
});
