import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { DEFAULT_PORT } from './environment.js';
import { freePort } from './free-port.js';
import { PrefixedLines } from './prefixed-lines.js';

export interface LaunchOptions {
  /** Program and arguments that every rank runs. */
  command: readonly [string, ...string[]];
  /** Ranks on this machine. */
  processes: number;
  /** Machines, and which of them this is. */
  nodes?: number;
  nodeRank?: number;
  masterAddr?: string;
  masterPort?: number;
  env?: NodeJS.ProcessEnv;
  stdout?: NodeJS.WritableStream;
  /** Whether lines of standard output carry their rank too. Default true. */
  prefixStdout?: boolean;
  stderr?: NodeJS.WritableStream;
  /** Told to the user: another port, the first failure. */
  say?: (message: string) => void;
  /** How long the others may take to end by themselves once one has failed or Ctrl-C came, before SIGTERM and
   * again before SIGKILL; milliseconds. */
  grace?: number;
  /** How long the ranks may take to end after a second Ctrl-C, before SIGKILL; milliseconds. */
  hurriedGrace?: number;
  /** Where Ctrl-C comes from; the process itself by default. */
  signals?: NodeJS.EventEmitter;
}

interface Rank {
  rank: number;
  child: ChildProcess;
  lines: PrefixedLines;
  ended: boolean;
}

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What a shell would give: the code itself, or 128 and the signal's number. */
const exitCode = (code: number | null, signal: NodeJS.Signals | null) =>
  code ?? 128 + (signal ? constants.signals[signal] : 0);

/**
 * Starts the ranks of this machine under torchrun's variables and waits for them. Their output lines carry their
 * rank. A signal goes to every rank once, and a second one ends all of them at once; a failed rank ends the others.
 * @returns the exit code: 0, or that of the rank that failed first
 */
export async function launch(options: LaunchOptions): Promise<number> {
  const {
    command,
    processes,
    nodes = 1,
    nodeRank = 0,
    masterAddr = '127.0.0.1',
    env = process.env,
    say = (message) => process.stderr.write(`${message}\n`),
    grace = 10_000,
    hurriedGrace = 1000,
    signals = process,
  } = options;
  const wanted = options.masterPort ?? DEFAULT_PORT;
  // Over several machines all must name one port: only the user can change it.
  const port = nodes === 1 ? await freePort(wanted) : wanted;
  if (port !== wanted) say(`Port ${wanted} is in use: the processes meet at port ${port}`);

  const ranks = Array.from({ length: processes }, (_, localRank): Rank => {
    const rank = nodeRank * processes + localRank;
    const child = spawn(command[0], command.slice(1), {
      // A group of its own: the terminal's Ctrl-C would come beside ours, and a second one means "at once".
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        RANK: String(rank),
        LOCAL_RANK: String(localRank),
        WORLD_SIZE: String(nodes * processes),
        LOCAL_WORLD_SIZE: String(processes),
        MASTER_ADDR: masterAddr,
        MASTER_PORT: String(port),
      },
    });
    const lines = new PrefixedLines(`[rank ${rank}] `);
    const stdout = options.stdout ?? process.stdout;
    if (options.prefixStdout ?? true) lines.pipe(child.stdout!, stdout);
    else child.stdout!.pipe(stdout, { end: false });
    lines.pipe(child.stderr!, options.stderr ?? process.stderr, true);
    return { rank, child, lines, ended: false };
  });
  return wait(ranks, { say, grace, hurriedGrace, signals, world: nodes * processes });
}

interface Waiting {
  say: (message: string) => void;
  grace: number;
  hurriedGrace: number;
  signals: NodeJS.EventEmitter;
  world: number;
}

function wait(ranks: Rank[], { say, grace, hurriedGrace, signals, world }: Waiting): Promise<number> {
  const send = (signal: NodeJS.Signals) => {
    for (const { child, ended } of ranks) if (!ended) child.kill(signal);
  };
  const timers: NodeJS.Timeout[] = [];
  const endSoon = () => {
    timers.push(setTimeout(send, grace, 'SIGTERM'), setTimeout(send, 2 * grace, 'SIGKILL'));
  };
  let asked = 0;
  // A rank that computes takes the second signal's default, which ends it; SIGKILL is for one that cannot even do that.
  const forward = (signal: NodeJS.Signals) => {
    send(signal);
    if (++asked === 2) timers.push(setTimeout(send, hurriedGrace, 'SIGKILL'));
  };
  for (const name of FORWARDED) signals.on(name, forward);

  let first: number | undefined;
  const ends = ranks.map(
    (rank) =>
      new Promise<void>((resolve) => {
        const ended = (code: number, how: string) => {
          if (rank.ended) return;
          rank.ended = true;
          if (code !== 0 && first === undefined) {
            first = code;
            if (asked > 1) return resolve();
            const last = rank.lines.lastErrors();
            say(
              `Rank ${rank.rank} of ${world} failed first, ${how}${last ? `. It said last:\n${last}` : ''}`,
            );
            endSoon();
          }
          resolve();
        };
        rank.child.once('error', (error) => ended(1, `it could not be started: ${error.message}`));
        rank.child.once('close', (code, signal) =>
          ended(exitCode(code, signal), signal ? `ended by ${signal}` : `with exit code ${code}`),
        );
      }),
  );
  return Promise.all(ends)
    .then(() => first ?? 0)
    .finally(() => {
      for (const timer of timers) clearTimeout(timer);
      for (const name of FORWARDED) signals.off(name, forward);
    });
}
