/** Random state, threads, devices and versions. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { generatePhantom } from '../../src/datasets/phantom.js';
import { native, type RecordedOps } from '../../src/native/index.js';
import { microseconds } from '../../src/profile/index.js';
import {
  buildInfo,
  deviceAvailable,
  getNumThreads,
  getRngState,
  isDeterministic,
  memory,
  pauseConvolutionTiming,
  scope,
  setDeterministic,
  setNumThreads,
  setRngState,
  setupSeed,
  Tensor,
  whyUnavailable,
} from '../../src/tensor/index.js';
import { getDevice } from '../../src/training/device.js';
import { buildModel } from '../../src/training/setup.js';
import { caught, childJson, numbers } from './support.js';

const draw = (count = 5) => scope(() => numbers(Tensor.rand([count])));

describe('random state', () => {
  it('setRngState goes on where getRngState was taken', () => {
    setupSeed(7);
    draw(3);
    const state = getRngState();
    const first = [draw(), draw()];
    setRngState(state);
    expect([draw(), draw()]).toEqual(first);
  });

  it('is plain bytes, and reading it leaves no tensor', () => {
    const before = memory();
    const state = getRngState();
    setRngState(state);
    // 5,056 bytes: what torch.get_rng_state() has on the CPU.
    expect({ ...state, data: state.data.length }).toEqual({ dtype: 'uint8', shape: [5056], data: 5056 });
    expect(memory()).toEqual(before);
  });

  it('seeds with negative and large whole numbers', () => {
    setupSeed(-1);
    const negative = draw();
    setupSeed(2 ** 53 - 2);
    expect(draw()).not.toEqual(negative);
    setupSeed(-1);
    expect(draw()).toEqual(negative);
  });
});

describe('threads', () => {
  const original = getNumThreads();
  afterEach(() => setNumThreads(original));

  it('can be set and do not change a result', () => {
    const product = () =>
      scope(() => {
        setupSeed(1);
        return numbers(Tensor.rand([64, 64]).matmul(Tensor.rand([64, 64])));
      });
    setNumThreads(1);
    const alone = product();
    setNumThreads(2);
    expect(getNumThreads()).toBe(2);
    expect(product()).toEqual(alone);
  });
});

describe('devices and versions', () => {
  it('names libtorch and what it was built with', () => {
    const info = buildInfo();
    expect(info.torchVersion).toMatch(/^2\.\d+\.\d+/);
    expect(info.cudaLibrary).toBe(info.cuda !== null);
    expect(typeof info.mpsLibrary).toBe('boolean');
    expect(info.parallel).toContain('OpenMP');
    expect(info.cpuCapability.length).toBeGreaterThan(0);
  });

  it('has a CPU, and no 100th CUDA device', () => {
    expect(deviceAvailable('cpu')).toBe(true);
    expect(whyUnavailable('cpu')).toBeUndefined();
    expect(deviceAvailable('cuda:99')).toBe(false);
    expect(whyUnavailable('cuda:99')).toMatch(/(CUDA|NVIDIA).*To mend it: /);
  });

  it('getDevice takes the best there is, or says why not the one asked for', () => {
    const best = deviceAvailable('cuda') ? 'cuda' : deviceAvailable('mps') ? 'mps' : 'cpu';
    expect(getDevice()).toBe(best);
    expect(getDevice('cpu')).toBe('cpu');
    const error = caught(() => getDevice('cuda:99')) as Error & { exitCode: number };
    expect(error.name).toBe('UsageError');
    expect(error.exitCode).toBe(2);
    expect(error.message).toMatch(/^Expected device 'cuda:99' but .*(without CUDA|no such device|no NVIDIA)/);
  });
});

it.runIf(process.platform === 'linux')(
  'loader workers load no libtorch, so they start no team of threads',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'afa-workers-'));
    generatePhantom({ outDir: folder, patients: 2, slices: 4, size: 64, seed: 1 });
    const loaded = await childJson(`
    import { readFileSync } from 'node:fs';
    import { loadConfig } from 'DIST/config/load.js';
    import { createTrainLoader } from 'DIST/loading/loader.js';
    const set = ['dataset.root_dir=${folder}/imageSlice', 'dataset.slice_split=[0, 2]', 'dataset.crop_size=64'];
    const loader = createTrainLoader(loadConfig({ dataset: 'lasc', set }).config, { numWorkers: 2 });
    for (let k = 0; k < 3; k++) await loader.next();
    const files = readFileSync('/proc/self/maps', 'utf8').split('\\n');
    await loader.close();
    console.log(JSON.stringify(files.filter((line) => /torch|gomp/.test(line))));`);
    rmSync(folder, { recursive: true });
    expect(loaded).toEqual([]);
  },
);

describe('deterministic computing', () => {
  afterEach(() => setDeterministic(false));

  it('is off until it is asked for, and reaches libtorch', () => {
    expect(isDeterministic()).toBe(false);
    setDeterministic(true);
    expect(isDeterministic()).toBe(true);
    setDeterministic(false);
    expect(isDeterministic()).toBe(false);
  });

  it.skipIf(!buildInfo().cudaLibrary)(
    'can be asked for after products: cuBLAS has its workspaces from the start',
    async () => {
      const code = `
    delete process.env.CUBLAS_WORKSPACE_CONFIG;
    await import('DIST/tensor/index.js');
    console.log(JSON.stringify(process.env.CUBLAS_WORKSPACE_CONFIG ?? 'none'));`;
      expect(await childJson(code)).toBe(':4096:8');
    },
  );

  it('never times convolutions, which are timed otherwise but where that is paused', () => {
    expect(native.timesConvolutions()).toBe(true);
    const resume = pauseConvolutionTiming();
    expect(native.timesConvolutions()).toBe(false);
    resume();
    expect(native.timesConvolutions()).toBe(true);
    setDeterministic(true);
    pauseConvolutionTiming()();
    native.setConvolutionTiming(true);
    expect(native.timesConvolutions()).toBe(false);
  });

  it('follows the configuration of whatever model is built', () => {
    for (const deterministic of [true, false]) {
      const { config } = loadConfig({ dataset: 'lasc', set: [`train.deterministic=${deterministic}`] });
      buildModel(config, 'cpu').dispose();
      expect(isDeterministic()).toBe(deterministic);
    }
  });
});

describe('recorded operations', () => {
  const names = ({ names, events }: RecordedOps) =>
    Array.from({ length: events.length / 5 }, (_, i) => names[events[5 * i]!]!);

  it('are those of the time between start and stop, with times and shapes', () => {
    const x = Tensor.randn([3, 4]);
    native.recordOpsStart(100, true);
    const start = microseconds();
    const y = x.relu();
    const end = microseconds();
    const recorded = native.recordOpsStop();
    x.relu().dispose();
    y.dispose();
    const at = names(recorded).indexOf('aten::relu');
    const [, shapes, thread, began, took] = recorded.events.subarray(5 * at, 5 * at + 5);
    expect(recorded.names[shapes!]).toBe('[3,4]');
    expect(thread).toBe(native.currentThread());
    expect(began).toBeGreaterThanOrEqual(start);
    expect(began! + took!).toBeLessThanOrEqual(end);
    expect([names(recorded).filter((name) => name === 'aten::relu').length, recorded.dropped]).toEqual([
      1, 0,
    ]);
    x.dispose();
  });

  it('include those of backward; shapes only where they are asked for', () => {
    const x = Object.assign(Tensor.randn([8, 8]), { requiresGrad: true });
    native.recordOpsStart(1000, false);
    scope(() => x.matmul(x).sum().backward());
    const recorded = native.recordOpsStop();
    expect(names(recorded)).toContain('autograd::engine::evaluate_function: MmBackward0');
    expect([...recorded.events.filter((_, i) => i % 5 === 1)].every((shapes) => shapes === -1)).toBe(true);
    x.dispose();
  });

  it('are counted beyond the limit, and refused twice', () => {
    native.recordOpsStart(3, false);
    expect(() => native.recordOpsStart(3, false)).toThrow('being recorded already');
    scope(() => Tensor.ones([2]).add(1).mul(2).sum());
    const recorded = native.recordOpsStop();
    expect(recorded.events.length).toBe(15);
    expect(recorded.dropped).toBeGreaterThan(0);
    expect(() => native.recordOpsStop()).toThrow('No operations are being recorded');
  });
});
