/**
 * The record of a device's activities, by the CPU: there libtorch's operations come the way of a GPU's kernels, from the
 * same Kineto, with the same clock and the same rules of beginning and ending.
 */
import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { native } from '../../src/native/index.js';
import { startDeviceRecord, stopDeviceRecord } from '../../src/profile/device-record.js';
import { placeOnTracks } from '../../src/profile/device-tracks.js';
import {
  beginIteration,
  endIteration,
  microseconds,
  Profiler,
  recordDevice,
  span,
} from '../../src/profile/index.js';
import type { TraceEvent } from '../../src/profile/trace.js';
import { noGrad, scope, Tensor } from '../../src/tensor/index.js';
import { caught, childJson, expectTorchError, runChild } from './support.js';

beforeAll(() => {
  if (!existsSync(new URL('../../dist/profile/index.js', import.meta.url)))
    throw new Error('Run `npm run build:ts` before these tests.');
});

const work = () =>
  scope(() =>
    Tensor.ones([300, 300])
      .matmul(Tensor.ones([300, 300]))
      .sum()
      .item(),
  );
const names = ({ activities }: { activities: { name: string }[] }) => activities.map(({ name }) => name);

describe('a record', () => {
  it('holds what ran between start and stop, at its time of the monotonic clock', () => {
    work();
    startDeviceRecord('cpu');
    const start = microseconds();
    work();
    const end = microseconds();
    const record = stopDeviceRecord('cpu');
    work();
    const products = record.activities.filter(({ name }) => name === 'aten::mm');
    expect(products).toHaveLength(1);
    expect(names(record).filter((name) => name === 'aten::sum')).toHaveLength(1);
    expect(record).toMatchObject({ dropped: 0 });
    expect(record).not.toHaveProperty('fault');
    // Kineto's clock is Unix time, converted by a pair of readings: tens of microseconds where the core was taken away.
    const [{ start: began, duration, kind }] = products as [(typeof products)[0]];
    expect(kind).toBe('kernel');
    expect(began).toBeGreaterThan(start - 500);
    expect(began + duration).toBeLessThan(end + 500);
    const starts = record.activities.map((activity) => activity.start);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  });

  it('has the times that the host’s own record has', () => {
    const differences = Array.from({ length: 9 }, () => {
      native.recordOpsStart(1000, false);
      const record = recordDevice('cpu', () => void work());
      const { names: ops, events } = native.recordOpsStop();
      const at = [...events].findIndex((value, i) => i % 5 === 0 && ops[value] === 'aten::mm');
      const product = record.activities.find(({ name }) => name === 'aten::mm')!;
      return Math.abs(product.start - events[at + 3]!) + Math.abs(product.duration - events[at + 4]!);
    });
    // Of nine, as another process may take the core between one callback and the other.
    expect(Math.min(...differences)).toBeLessThan(200);
  });

  it('includes backward', () => {
    const x = Object.assign(Tensor.ones([20, 20]), { requiresGrad: true });
    const record = recordDevice('cpu', () => scope(() => x.matmul(x).sum().backward()));
    expect(names(record).filter((name) => name === 'aten::mm')).toHaveLength(3);
    expect(names(record)).toContain('MmBackward0');
    x.dispose();
  });

  it('keeps the first up to its limit and counts the others', () => {
    startDeviceRecord('cpu', 3);
    work();
    const { activities, dropped } = stopDeviceRecord('cpu');
    expect(activities).toHaveLength(3);
    expect(dropped).toBeGreaterThan(3);
  });

  it('can be empty, on a CPU without fault', () => {
    expect(recordDevice('cpu', () => {})).toEqual({ activities: [], dropped: 0 });
  });

  it('that is empty although a GPU was asked for says who may hold CUPTI', () => {
    const faultUnder = (env: Record<string, string>) => {
      for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
      startDeviceRecord('cpu');
      const { fault } = stopDeviceRecord('cuda');
      vi.unstubAllEnvs();
      return fault;
    };
    const none = { CUDA_INJECTION64_PATH: '', NVTX_INJECTION64_PATH: '' };
    expect(faultUnder(none)).toMatch(/no kernel was recorded: another tool \(nsys, .*KINETO_LOG_LEVEL=0/);
    expect(faultUnder({ ...none, NVTX_INJECTION64_PATH: '/usr/lib/libcupti.so' })).toContain(
      'the tool that NVTX_INJECTION64_PATH names may hold CUPTI',
    );
    expect(faultUnder({ CUDA_INJECTION64_PATH: 'a', NVTX_INJECTION64_PATH: 'b' })).toContain(
      'the tool that CUDA_INJECTION64_PATH and NVTX_INJECTION64_PATH name may hold CUPTI',
    );
  });

  it('is one at a time: a second start, and a stop without one, are refused', () => {
    const op = 'recordDeviceStop';
    expectTorchError(
      caught(() => stopDeviceRecord('cpu')),
      {
        code: 'ERR_INVALID_ARG',
        op,
        message: 'No activities',
      },
    );
    startDeviceRecord('cpu');
    expectTorchError(
      caught(() => startDeviceRecord('cpu')),
      {
        code: 'ERR_INVALID_ARG',
        op: 'recordDeviceStart',
        message: 'being recorded already',
      },
    );
    // The first goes on.
    work();
    expect(names(stopDeviceRecord('cpu'))).toContain('aten::mm');
    expectTorchError(
      caught(() => stopDeviceRecord('cpu')),
      {
        code: 'ERR_INVALID_ARG',
        op,
        message: 'No activities',
      },
    );
  });

  it('refuses devices that are not there, and what is none', () => {
    for (const device of ['mps', 'cuda:99', 'tpu', 7 as unknown as string])
      expectTorchError(
        caught(() => startDeviceRecord(device)),
        {
          code: 'ERR_INVALID_ARG',
          op: 'recordDeviceStart',
          message: "for argument 'device'",
        },
      );
    expect(names(recordDevice('cpu', () => void work()))).toContain('aten::mm');
  });

  it('ends when what it records throws, and throws that', () => {
    const failure = new Error('mine');
    expect(() =>
      recordDevice('cpu', () => {
        work();
        throw failure;
      }),
    ).toThrow(failure);
    const wrong = () => void scope(() => Tensor.ones([2]).matmul(Tensor.ones([3])));
    expect(caught(() => recordDevice('cpu', wrong))).toMatchObject({ op: 'matmul' });
    expect(names(recordDevice('cpu', () => void work()))).toContain('aten::mm');
  });

  it('that cannot begin is a fault, and the work is done', () => {
    startDeviceRecord('cpu');
    let done = 0;
    const { activities, fault } = recordDevice('cpu', () => {
      done += 1;
    });
    stopDeviceRecord('cpu');
    expect([done, activities]).toEqual([1, []]);
    expect(fault).toContain('being recorded already');
  });
});

describe('in processes of their own', () => {
  it('a thread cannot end the record of another, and ends its own with itself', async () => {
    const found = await childJson<{ messages: string[]; after: string[] }>(`
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { native } from 'DIST/native/index.js';
import { scope, Tensor } from 'DIST/tensor/index.js';
const run = (code) => new Worker(new URL('data:text/javascript,' + encodeURIComponent(
  "import { parentPort } from 'node:worker_threads'; import { native } from 'DIST/native/index.js';" +
  "const say = (f) => { try { f(); return 'done'; } catch (e) { return e.message; } };" + code)));
const answer = async (code) => {
  const worker = run('parentPort.postMessage(' + code + ')');
  const [[message]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  return message;
};
native.recordDeviceStart('cpu', 1000);
const messages = [
  await answer("say(() => native.recordDeviceStart('cpu', 10))"),
  await answer('say(() => native.recordDeviceStop())'),
];
native.recordDeviceStop();
// A worker that ends amid its record leaves the way free.
messages.push(await answer("say(() => native.recordDeviceStart('cpu', 10))"));
native.recordDeviceStart('cpu', 1000);
scope(() => Tensor.ones([4]).add(1));
const after = native.recordDeviceStop().names;
// And so does the process: this record is never ended.
native.recordDeviceStart('cpu', 1000);
console.log(JSON.stringify({ messages, after }));
`);
    expect(found.messages[0]).toContain('being recorded already');
    expect(found.messages[1]).toContain('Expected the thread that began');
    expect(found.messages[2]).toBe('done');
    expect(found.after).toContain('aten::add');
  });

  it('hundreds of records leave memory and tensors as they were, and say nothing', async () => {
    const { code, stdout, stderr } = await runChild(
      `
import { recordDevice } from 'DIST/profile/index.js';
import { memory, scope, Tensor } from 'DIST/tensor/index.js';
const rss = [];
const live = new Set();
for (let k = 1; k <= 300; k++) {
  recordDevice('cpu', () => scope(() => { for (let i = 0; i < 100; i++) Tensor.ones([8]).add(i).dispose(); }));
  live.add(memory().liveTensors);
  await new Promise((resume) => setImmediate(resume));
  if (k % 25 === 0) { gc(); rss.push(process.memoryUsage().rss / 2 ** 20); }
}
console.log(JSON.stringify({ rss, live: [...live] }));
`,
      { flags: ['--expose-gc'], timeout: 110_000 },
    );
    expect([code, stderr]).toEqual([0, '']);
    const found = JSON.parse(stdout) as { rss: number[]; live: number[] };
    expect(found.live).toEqual([0]);
    // 225 records of 400 operations at 200 bytes each, were they kept, would be 18 MB.
    const settled = Math.max(...found.rss.slice(0, 3));
    expect(Math.max(...found.rss.slice(3)) - settled, found.rss.map(Math.round).join(' ')).toBeLessThan(12);
  });
});

describe('in a profile', () => {
  it('stands beside the host’s operations, on tracks where nothing overlaps', () => {
    let text = '';
    const write = (json: string) => {
      text = json;
    };
    const profiler = new Profiler({ facts: {}, warmup: 1, iterations: 2, device: 'cpu', write });
    for (let i = 0; i < 4; i++) {
      beginIteration('step');
      span('work', () => noGrad(work));
    }
    endIteration();
    profiler.finish();
    const { otherData, traceEvents } = JSON.parse(text) as {
      otherData: Record<string, unknown>;
      traceEvents: (TraceEvent & { ts: number; dur: number })[];
    };
    expect(otherData).not.toHaveProperty('withoutGpuActivities');
    const activities = traceEvents.filter(({ cat }) => cat === 'kernel');
    expect(activities.filter(({ name }) => name === 'mm')).toHaveLength(2);
    const windows = traceEvents.filter(({ cat }) => cat === 'iteration');
    for (const { ts, dur } of activities.filter(({ name }) => name === 'mm'))
      expect(windows.some((one) => ts > one.ts - 500 && ts + dur < one.ts + one.dur + 500)).toBe(true);
    const tracks = new Map(
      activities.map(({ tid }) => [tid, activities.filter((other) => other.tid === tid)]),
    );
    const called = traceEvents.filter(({ ph, tid }) => ph === 'M' && tracks.has(tid));
    expect(called.map(({ args }) => args!.name)).toContain(`GPU 0, stream ${native.currentThread()}`);
    expect(tracks.size).toBeGreaterThan(1);
    // Within eight levels: the last track of a stream takes what is left.
    for (const track of tracks.values())
      for (const [i, event] of track.slice(1).entries())
        expect(event.ts).toBeGreaterThanOrEqual(track[i]!.ts + track[i]!.dur - 0.01);
  });

  it('has a track for each stream, and others for branches of a graph that run side by side in one', () => {
    const made = (name: string, start: number, duration: number, stream = 7, device = 0) => ({
      ...{ name, kind: 'kernel' as const, device },
      ...{ stream, start, duration },
    });
    const activities = [
      made('a', 0, 10),
      made('copy', 2, 5, 20),
      made('branch', 5, 10),
      made('b', 10, 1),
      made('other GPU', 11, 1, 7, 1),
      made('c', 12, 1),
    ];
    const tracks = [...placeOnTracks(activities)].map(({ activity, track }) => [activity.name, track.name]);
    expect(tracks).toEqual([
      ['a', 'GPU 0, stream 7'],
      ['copy', 'GPU 0, stream 20'],
      ['branch', 'GPU 0, stream 7 (2)'],
      ['b', 'GPU 0, stream 7'],
      ['other GPU', 'GPU 1, stream 7'],
      ['c', 'GPU 0, stream 7'],
    ]);
    const ids = [...placeOnTracks(activities)].map(({ track }) => track.id);
    expect(new Set(ids).size).toBe(4);
    expect(ids[0]).toBe(ids[3]);
  });

  it('says why it is missing where it cannot be', () => {
    let text = '';
    const write = (json: string) => {
      text = json;
    };
    const profiler = new Profiler({ facts: {}, warmup: 0, iterations: 1, device: 'mps', write });
    beginIteration('step');
    work();
    endIteration();
    profiler.finish();
    expect(JSON.parse(text).otherData.withoutGpuActivities).toContain('recordDeviceStart()');
  });
});
