import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SequentialSampler, ShuffleSampler } from '../../src/loading/sampler.js';

const take = (sampler: ShuffleSampler, count: number) => Array.from({ length: count }, () => sampler.next());

describe('ShuffleSampler', () => {
  it('visits every sample at most once in an epoch and drops the incomplete batch', () => {
    const sampler = new ShuffleSampler({ length: 11, batchSize: 4, seed: 1 });
    const tasks = take(sampler, 6);
    expect(tasks.map(({ epoch }) => epoch)).toEqual([0, 0, 1, 1, 2, 2]);
    for (const epoch of [0, 1, 2]) {
      const visited = tasks.filter((task) => task.epoch === epoch).flatMap(({ indices }) => indices);
      expect(visited.length).toBe(8);
      expect(new Set(visited).size).toBe(8);
      expect(visited.every((index) => index >= 0 && index < 11)).toBe(true);
    }
  });

  it('visits every sample exactly once where batches fill the epoch', () => {
    const visited = take(new ShuffleSampler({ length: 12, batchSize: 4, seed: 9 }), 3).flatMap(
      (t) => t.indices,
    );
    expect(visited.sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });

  it('shuffles anew in each epoch and with each seed', () => {
    const orders = [1, 2].flatMap((seed) => take(new ShuffleSampler({ length: 50, batchSize: 50, seed }), 3));
    expect(new Set(orders.map(({ indices }) => indices.join())).size).toBe(6);
  });

  it('goes on from any position as if it had never stopped', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.nat({ max: 30 }), (batchSize, stop) => {
        const whole = new ShuffleSampler({ length: 21, batchSize, seed: 3 });
        take(whole, stop);
        const start = JSON.parse(JSON.stringify(whole.position()));
        const resumed = new ShuffleSampler({ length: 21, batchSize, seed: 3, start });
        expect(take(resumed, 12)).toEqual(take(whole, 12));
      }),
    );
  });

  it('shares one global batch among the ranks', () => {
    const single = take(new ShuffleSampler({ length: 20, batchSize: 6, seed: 4 }), 5);
    const ranks = [0, 1].map((rank) =>
      take(new ShuffleSampler({ length: 20, batchSize: 3, seed: 4, rank, worldSize: 2 }), 5),
    );
    expect(ranks[0]!.map((task, i) => [...task.indices, ...ranks[1]![i]!.indices])).toEqual(
      single.map(({ indices }) => indices),
    );
  });

  it('refuses fewer samples than one batch', () => {
    expect(() => new ShuffleSampler({ length: 5, batchSize: 4, seed: 1, worldSize: 2 })).toThrow(
      'Expected at least 8 training samples (train.samples_per_gpu 4 x 2 processes) but received 5. ' +
        'Lower train.samples_per_gpu or add data.',
    );
  });

  it.each([
    { epoch: -1, cursor: 0 },
    { epoch: 0, cursor: 6 },
    { epoch: 0, cursor: 0.5 },
  ])('refuses the position %o', (start) => {
    expect(() => new ShuffleSampler({ length: 5, batchSize: 1, seed: 1, start })).toThrow(
      `Expected an epoch and a cursor from 0 to 5 for the position to go on from but received an array of 2 ` +
        `([${start.epoch}, ${start.cursor}]). The checkpoint belongs to other data: resume with the data that it ` +
        'was trained on.',
    );
  });
});

describe('a balanced ShuffleSampler', () => {
  const balance = Array.from({ length: 30 }, (_, i) => i % 5 === 0);
  const sampler = (seed = 1) => new ShuffleSampler({ length: 30, balance, batchSize: 4, seed });

  it('holds as many of each kind in an epoch, none twice, and reaches every sample in time', () => {
    // 6 positives of 30: epochs of 12, three batches each.
    const tasks = take(sampler(), 90);
    const seen = new Set<number>();
    for (let epoch = 0; epoch < 30; epoch++) {
      const indices = tasks.filter((task) => task.epoch === epoch).flatMap((task) => task.indices);
      expect(new Set(indices).size).toBe(12);
      expect(indices.filter((i) => balance[i])).toHaveLength(6);
      for (const i of indices) seen.add(i);
    }
    expect(seen.size).toBe(30);
  });

  it('goes on from any position, and depends on the seed', () => {
    const whole = sampler();
    take(whole, 4);
    const options = { length: 30, balance, batchSize: 4, seed: 1, start: whole.position() };
    expect(take(new ShuffleSampler(options), 5)).toEqual(take(whole, 5));
    expect(take(sampler(1), 3)).not.toEqual(take(sampler(2), 3));
  });

  it('refuses a split of one kind', () => {
    expect(
      () => new ShuffleSampler({ length: 3, balance: [true, true, true], batchSize: 1, seed: 1 }),
    ).toThrow(
      'Expected images with and without a class for train.sampling: balanced but received 3 with and 0 without.',
    );
  });
});

describe('SequentialSampler', () => {
  it('gives every sample once, in order, the rest in a smaller batch', () => {
    const sampler = new SequentialSampler(7, 3);
    const tasks = [sampler.next(), sampler.next(), sampler.next(), sampler.next()];
    expect(tasks.map((task) => task?.indices)).toEqual([[0, 1, 2], [3, 4, 5], [6], undefined]);
    expect(sampler.position()).toEqual({ epoch: 0, cursor: 7 });
  });

  it('leaves out what each share skips, and fills batches with the rest', () => {
    const skip = (index: number) => index % 4 < 2;
    const shares = [0, 1].map((rank) => new SequentialSampler(11, 2, { rank, worldSize: 2, skip }));
    const batches = shares.map((share) => [share.next(), share.next(), share.next()].map((t) => t?.indices));
    expect(batches).toEqual([
      [[2, 6], [10], undefined],
      [[3, 7], undefined, undefined],
    ]);
    expect(shares.map(({ skipped }) => skipped)).toEqual([3, 3]);
  });

  it('has nothing to give a process beyond the last sample', () => {
    const sampler = new SequentialSampler(2, 1, { rank: 3, worldSize: 4 });
    expect([sampler.next(), sampler.skipped]).toEqual([undefined, 0]);
  });
});
