import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { emptyCache, memory, scope, Tensor } from '../../src/tensor/index.js';

const MB = 2 ** 20;
const megabytes = (count: number) => Tensor.zeros([(count * MB) / 4]);

describe.runIf(process.platform === 'linux')('the pool of large CPU tensors', () => {
  beforeEach(() => emptyCache());
  afterEach(() => emptyCache());

  it('holds what is in use, and nothing after it was emptied', () => {
    const before = memory().pooledBytes;
    const tensor = megabytes(16);
    expect(memory().pooledBytes - before).toBe(16 * MB);
    tensor.dispose();
    expect(memory()).toMatchObject({ pooledBytes: before + 16 * MB, idleBytes: 16 * MB });
    emptyCache();
    expect(memory()).toMatchObject({ pooledBytes: before, idleBytes: 0 });
  });

  it('leaves small tensors to the heap', () => {
    const before = memory().pooledBytes;
    const tensor = megabytes(1);
    expect(memory().pooledBytes).toBe(before);
    tensor.dispose();
  });

  it('uses memory again for sizes that are a little smaller, not for much smaller ones', () => {
    const before = memory().pooledBytes;
    megabytes(32).dispose();
    const near = megabytes(30);
    expect(memory()).toMatchObject({ pooledBytes: before + 32 * MB, idleBytes: 0 });
    near.dispose();
    const far = megabytes(8);
    expect(memory().pooledBytes).toBe(before + 40 * MB);
    far.dispose();
  });

  it('hands out memory of which no tensor in use is part', () => {
    const tensors = Array.from({ length: 12 }, (_, i) => Tensor.full([MB], i));
    for (const [i, tensor] of tensors.entries()) if (i % 2) tensor.dispose();
    const later = Array.from({ length: 6 }, (_, i) => Tensor.full([MB], 100 + i));
    const values = [...tensors.filter((_, i) => i % 2 === 0), ...later].map((tensor) =>
      scope(() => [tensor.amin().item(), tensor.amax().item()]),
    );
    expect(values).toEqual([0, 2, 4, 6, 8, 10, 100, 101, 102, 103, 104, 105].map((value) => [value, value]));
    for (const tensor of [...tensors, ...later]) tensor.dispose();
  });

  it('stays near the most that was in use at one time, whatever sizes come', () => {
    const before = memory().pooledBytes;
    // What the system cannot give raises no limit.
    expect(() => Tensor.zeros([2 ** 40, 256])).toThrow(/can't allocate memory/);
    for (let count = 4; count <= 96; count += 4) megabytes(count).dispose();
    for (let count = 94; count > 4; count -= 4) megabytes(count).dispose();
    // 96 MB in use at once, and a slack of 64 (native/allocator.cc).
    expect(memory().pooledBytes - before).toBeLessThanOrEqual(160 * MB);
  });
});
