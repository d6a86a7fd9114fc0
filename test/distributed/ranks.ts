/** Runs code in several processes that form one group, on compiled JavaScript. */
import { createServer } from 'node:net';
import { type ChildResult, runChild } from '../native/support.js';

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject()));
    });
  });
}

/** What every rank's code sees beside its imports; `group` once it has joined. */
const PREAMBLE = `
import { init, isAvailable, Ddp } from 'DIST/distributed/index.js';
import { memory, scope, setupSeed, Tensor } from 'DIST/tensor/index.js';
import { TorchError } from 'DIST/native/index.js';
const rank = Number(process.env.RANK), size = Number(process.env.WORLD_SIZE);
const join = (options) => init({
  backend: 'gloo', store: { host: '127.0.0.1', port: Number(process.env.MASTER_PORT) }, rank, worldSize: size,
  timeout: 20000, ...options });
const report = (value) => console.log(JSON.stringify(value));
const facts = (t) => ({ values: Array.from(t.data(), Number), shape: t.shape, dtype: t.dtype });
const told = (promise) => promise.then(() => 'no error', (e) => ({ name: e.name, code: e.code, op: e.op, rank: e.rank, message: e.message }));
`;

export interface RankOptions {
  /** Joins the group before the code runs; true by default. */
  joins?: boolean;
  timeout?: number;
  env?: (rank: number) => Record<string, string>;
}

/** One result for each rank, whatever its end. */
export async function runRanks(
  size: number,
  code: string,
  options: RankOptions = {},
): Promise<ChildResult[]> {
  const port = await freePort();
  const source = `${PREAMBLE}${options.joins === false ? '' : 'const group = await join();'}\n${code}`;
  return Promise.all(
    Array.from({ length: size }, (_, rank) =>
      runChild(source, {
        timeout: options.timeout ?? 60_000,
        env: {
          RANK: String(rank),
          WORLD_SIZE: String(size),
          MASTER_PORT: String(port),
          ...options.env?.(rank),
        },
      }),
    ),
  );
}

/** What each rank reported, in order; every rank must end well. */
export async function ranksJson<T>(size: number, code: string, options?: RankOptions): Promise<T[]> {
  const results = await runRanks(size, code, options);
  return results.map(({ code: exit, signal, stdout, stderr }, rank) => {
    if (/frame #\d|Exception raised from/.test(stderr))
      throw new Error(`Rank ${rank} printed a C++ backtrace:\n${stderr}`);
    if (exit !== 0) throw new Error(`Rank ${rank} ended with ${exit ?? signal}:\n${stderr}`);
    return JSON.parse(stdout) as T;
  });
}

export interface Told {
  name: string;
  code: string;
  op: string;
  rank: number;
  message: string;
}
