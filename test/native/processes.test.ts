/** Worker threads and the ends of processes. Each case is a process of its own: a crash is an exit code. */
import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { childJson, runChild } from './support.js';

beforeAll(() => {
  if (!existsSync(new URL('../../dist/tensor/index.js', import.meta.url)))
    throw new Error('Run `npm run build:ts` before these tests.');
});

/** Starts threads whose code sees `Tensor`, `WeTr`, `native`, a small model and an image. */
const THREADS = `
import { Worker } from 'node:worker_threads';
const start = (body, workerData) => new Worker(\`(async () => {
  const { parentPort, workerData } = await import('node:worker_threads');
  const { memory, scope, setupSeed, Tensor } = await import('DIST/tensor/index.js');
  const { native, TorchError } = await import('DIST/native/index.js');
  const { WeTr } = await import('DIST/models/wetr.js');
  const model = new WeTr({ backbone: 'mit_b0', numClasses: 2 }).eval();
  const image = Tensor.ones([1, 3, 64, 64]);
  const predict = () => native.predictAsync(model.handle, Tensor.handle(image), [1], 0);
  \${body}
})()\`, { eval: true, workerData, execArgv: [] });
const message = (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
const exit = (worker) => new Promise((resolve) => worker.once('exit', resolve));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;
const MODEL = `
import { Tensor } from 'DIST/tensor/index.js';
import { native } from 'DIST/native/index.js';
import { WeTr } from 'DIST/models/wetr.js';
const model = new WeTr({ backbone: 'mit_b0', numClasses: 2 }).eval();
const image = Tensor.ones([2, 3, 96, 96]);
const predict = () => native.predictAsync(model.handle, Tensor.handle(image), [1, 0.5, 1.5], 0);
`;

describe('worker threads', () => {
  it('compute at once, each with counters, models and errors of its own', async () => {
    const results = await childJson<{ sum: number; async: number; live: number; error: string }[]>(
      `${THREADS}
      const body = \`
        let sum = 0;
        for (let k = 0; k < 10; k++) scope(() => { sum += model.forward(image).cls.item(); });
        const outputs = (await predict()).map((handle) => new Tensor(handle));
        let error = '';
        try { image.reshape(2); } catch (e) { error = [e instanceof TorchError, e.code, e.op].join(); }
        const live = memory().liveTensors;
        parentPort.postMessage({ sum: sum / 10, async: outputs[0].item(), live, error });\`;
      const workers = [0, 1, 2, 3].map(() => start(body));
      const exits = workers.map(exit);
      const results = await Promise.all(workers.map(message));
      const codes = await Promise.all(exits);
      if (codes.some((code) => code !== 0)) throw new Error('codes ' + codes);
      console.log(JSON.stringify(results));`,
    );
    expect(results).toHaveLength(4);
    for (const result of results) {
      expect(result.async).toBeCloseTo(result.sum, 4);
      // Parameters, then parameters and buffers again, the image and three outputs.
      expect(result.live).toBe(results[0]!.live);
      expect(result.error).toBe('true,ERR_TORCH,reshape');
    }
  });

  it.each([
    ['a synchronous loop', 'parentPort.postMessage(1); for (;;) scope(() => { model.forward(image); });'],
    [
      'queued jobs',
      'const jobs = Array.from({ length: 50 }, predict); parentPort.postMessage(1); await Promise.all(jobs);',
    ],
  ])('can be terminated in %s, and the process goes on', async (_, body) => {
    const result = await childJson(
      `${THREADS}
      const codes = [];
      for (let k = 0; k < 3; k++) {
        const worker = start(${JSON.stringify(body)});
        await message(worker);
        await pause(15);
        codes.push(await worker.terminate());
      }
      const { Tensor } = await import('DIST/tensor/index.js');
      console.log(JSON.stringify({ codes, sum: Tensor.ones([3]).sum().item() }));`,
    );
    expect(result).toEqual({ codes: [1, 1, 1], sum: 3 });
  });

  it('may end by themselves with jobs pending, and while the main thread exits', async () => {
    const own = await childJson<number>(
      `${THREADS}
      const worker = start('for (let k = 0; k < 5; k++) predict(); process.exit(4);');
      console.log(JSON.stringify(await exit(worker)));`,
    );
    expect(own).toBe(4);
    for (const body of ['for (;;) scope(() => { model.forward(image); });', 'for (;;) await predict();']) {
      const result = await runChild(
        `${THREADS}
        const worker = start(${JSON.stringify(`parentPort.postMessage(1); ${body}`)});
        await message(worker);
        await pause(15);
        process.exit(5);`,
      );
      expect([result.code, result.signal, result.stderr]).toEqual([5, null, '']);
    }
  });
});

describe('the end of a process', () => {
  it('waits for pending jobs when nothing else is left to do', async () => {
    const result = await runChild(`${MODEL}
      for (const k of [0, 1, 2]) predict().then(() => console.log('done', k));`);
    expect(result).toMatchObject({ code: 0, stdout: 'done 0\ndone 1\ndone 2\n' });
  });

  // Static destructors run beside a thread that computes; with two OpenMP threads a crash is the rule.
  it('process.exit with jobs pending gives its code and does not crash', async () => {
    const run = () =>
      runChild(`${MODEL} predict(); predict(); process.exit(3);`, { env: { OMP_NUM_THREADS: '2' } });
    for (let round = 0; round < 3; round++) {
      const results = await Promise.all([run(), run(), run()]);
      for (const { code, signal } of results) expect({ code, signal }).toEqual({ code: 3, signal: null });
    }
  });

  it('an uncaught exception with jobs pending gives code 1 and its message', async () => {
    const run = () =>
      runChild(`${MODEL} predict(); predict(); setTimeout(() => { throw new Error('mine'); }, 5);`, {
        env: { OMP_NUM_THREADS: '2' },
      });
    for (const result of await Promise.all([run(), run(), run()])) {
      expect([result.code, result.signal]).toEqual([1, null]);
      expect(result.stderr).toContain('Error: mine');
    }
  });

  it('a rejected job that nobody handles names the operation', async () => {
    const result = await runChild(`${MODEL}
      native.predictAsync(model.handle, Tensor.handle(Tensor.zeros([1])), [1], 0);`);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('predictAsync(): Expected images of shape [B, 3, H, W] but received [1]');
  });
});
