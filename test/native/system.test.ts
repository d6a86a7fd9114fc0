/** Random state, threads, devices and versions. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  buildInfo,
  deviceAvailable,
  getNumThreads,
  getRngState,
  memory,
  scope,
  setNumThreads,
  setRngState,
  setupSeed,
  Tensor,
  whyUnavailable,
} from '../../src/tensor/index.js';
import { getDevice } from '../../src/training/device.js';
import { caught, numbers } from './support.js';

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
    expect(typeof info.cudaLibrary).toBe('boolean');
    expect(typeof info.mpsLibrary).toBe('boolean');
    expect(info.parallel).toContain('OpenMP');
    expect(info.cpuCapability.length).toBeGreaterThan(0);
  });

  it('has a CPU, and no 100th CUDA device', () => {
    expect(deviceAvailable('cpu')).toBe(true);
    expect(whyUnavailable('cpu')).toBeUndefined();
    expect(deviceAvailable('cuda:99')).toBe(false);
    expect(whyUnavailable('cuda:99')).toMatch(/CUDA/);
  });

  it('getDevice takes the best there is, or says why not the one asked for', () => {
    const best = deviceAvailable('cuda') ? 'cuda' : deviceAvailable('mps') ? 'mps' : 'cpu';
    expect(getDevice()).toBe(best);
    expect(getDevice('cpu')).toBe('cpu');
    const error = caught(() => getDevice('cuda:99')) as Error & { exitCode: number };
    expect(error.name).toBe('UsageError');
    expect(error.exitCode).toBe(2);
    expect(error.message).toMatch(/^Expected device 'cuda:99' but .*(without CUDA|no such device)/);
  });
});
