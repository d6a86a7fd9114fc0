/**
 * Process groups over gloo, in processes of their own. Expected numbers follow from the definition of each
 * collective (MPI's), worked out by hand for ranks 0, 1, 2.
 */
import { describe, expect, it } from 'vitest';
import { init, isAvailable } from '../../src/distributed/index.js';
import { ranksJson, runRanks, type Told } from './ranks.js';

interface Facts {
  values: number[];
  shape: number[];
  dtype: string;
}

describe('collectives', () => {
  it('reduce, in every dtype that c10d reduces, and leave their input as it was', async () => {
    const results = await ranksJson<{
      reduced: Record<string, Facts>;
      dtypes: Facts[];
      input: Facts;
      strided: Facts;
      none: Facts;
      scalar: Facts;
      live: number;
    }>(
      3,
      `
      const before = memory().liveTensors;
      const input = Tensor.from([rank + 1, 10 * rank], [2, 1]);
      const keepFacts = async (promise) => { const t = await promise; const f = facts(t); t.dispose(); return f; };
      const reduced = {};
      for (const op of ['sum', 'mean', 'max', 'min']) reduced[op] = await keepFacts(group.allReduce(input, op));
      const dtypes = [];
      for (const dtype of ['float32', 'float64', 'int64', 'int32', 'int8', 'uint8']) {
        const t = Tensor.full([2], rank + 1, dtype);
        dtypes.push(await keepFacts(group.allReduce(t)));
        t.dispose();
      }
      const halves = Tensor.full([3], rank + 0.5, 'float16');
      const half = await group.allReduce(halves);
      const wide = half.to({ dtype: 'float32' });
      dtypes.push(facts(wide));
      const matrix = Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]);
      const turned = matrix.transpose(0, 1);
      const strided = await keepFacts(group.allReduce(turned));
      const empty = Tensor.zeros([0, 3]);
      const none = await keepFacts(group.allReduce(empty));
      const point = Tensor.full([], rank);
      const scalar = await keepFacts(group.allReduce(point));
      const after = facts(input);
      for (const t of [input, halves, half, wide, matrix, turned, empty, point]) t.dispose();
      report({ reduced, dtypes, input: after, strided, none, scalar, live: memory().liveTensors - before });
      await group.destroy();`,
    );
    for (const [rank, result] of results.entries()) {
      expect(result.reduced.sum!.values).toEqual([6, 30]);
      expect(result.reduced.mean!.values).toEqual([2, 10]);
      expect(result.reduced.max!.values).toEqual([3, 20]);
      expect(result.reduced.min!.values).toEqual([1, 0]);
      expect(result.reduced.sum!.shape).toEqual([2, 1]);
      expect(result.dtypes.map(({ dtype, values }) => [dtype, ...values])).toEqual([
        ...['float32', 'float64', 'int64', 'int32', 'int8', 'uint8'].map((dtype) => [dtype, 6, 6]),
        ['float32', 4.5, 4.5, 4.5],
      ]);
      expect(result.input.values).toEqual([rank + 1, 10 * rank]);
      expect(result.strided).toMatchObject({ shape: [3, 2], values: [3, 12, 6, 15, 9, 18] });
      expect(result.none).toMatchObject({ shape: [0, 3], values: [] });
      expect(result.scalar).toMatchObject({ shape: [], values: [3] });
      expect(result.live).toBe(0);
    }
  });

  it('move tensors of any dtype, and objects of any length', async () => {
    const results = await ranksJson<{
      sent: Facts[];
      gathered: Facts[];
      objects: unknown[];
      scattered: Facts;
      average: Facts;
    }>(
      3,
      `
      const sent = [];
      for (const dtype of ['bool', 'int16', 'bfloat16', 'float32'])
        sent.push(facts(await group.broadcast(Tensor.full([2], rank === 2 ? 1 : 0, dtype), 2)));
      const gathered = (await group.allGather(Tensor.full([1, 2], rank, 'int16'))).map(facts);
      const objects = await group.allGatherObject({ rank, text: 'ä'.repeat(10 ** rank), list: [null, rank > 0] });
      const rows = Tensor.from([0, 1, 2, 3, 4, 5].map((v) => v + 10 * rank), [6]);
      const scattered = facts(await group.reduceScatter(rows));
      const average = facts(await group.reduceScatter(rows, 'mean'));
      await group.barrier();
      await group.monitoredBarrier();
      report({ sent, gathered, objects, scattered, average });`,
    );
    for (const [rank, result] of results.entries()) {
      const [bool, short, brain, float] = result.sent;
      expect([bool!.values, short!.values, float!.values]).toEqual([
        [1, 1],
        [1, 1],
        [1, 1],
      ]);
      expect(brain).toMatchObject({ dtype: 'bfloat16', values: [0x3f80, 0x3f80] }); // 1.0 as bits
      expect(result.gathered.map(({ values }) => values)).toEqual([
        [0, 0],
        [1, 1],
        [2, 2],
      ]);
      expect(result.gathered[0]).toMatchObject({ shape: [1, 2], dtype: 'int16' });
      expect(result.objects).toEqual(
        [0, 1, 2].map((r) => ({ rank: r, text: 'ä'.repeat(10 ** r), list: [null, r > 0] })),
      );
      expect(result.scattered.values).toEqual([6 * rank + 30, 6 * rank + 33]);
      expect(result.average.values).toEqual([2 * rank + 10, 2 * rank + 11]);
    }
  });

  it('keep their order when many are under way', async () => {
    const [wrong] = await ranksJson<number>(
      2,
      `
      let wrong = 0;
      for (let round = 0; round < 20; round++) {
        const values = Array.from({ length: 40 }, (_, k) => k);
        const sums = values.map((k) => k % 3 === 2 ? group.broadcast(Tensor.from([k + rank]), 1) : group.allReduce(Tensor.from([k])));
        const results = await Promise.all(sums);
        results.forEach((t, k) => { wrong += t.item() !== (k % 3 === 2 ? k + 1 : 2 * k) ? 1 : 0; });
        results.forEach((t) => t.dispose());
      }
      report(wrong);`,
    );
    expect(wrong).toBe(0);
  });
});

describe('groups', () => {
  it('of some ranks work beside the world, in the order given', async () => {
    const results = await ranksJson<{
      pair: { rank: number; ranks: number[]; sum: number } | null;
      world: number;
      ended: Told;
    }>(
      3,
      `
      const pair = await group.newGroup([2, 0]);
      const inner = pair && await pair.newGroup([1]);
      const [sum, world] = await Promise.all([pair?.allReduce(Tensor.from([rank + 1])), group.allReduce(Tensor.from([1]))]);
      await pair?.destroy();
      const ended = pair ? await told(pair.barrier()) : null;
      await pair?.destroy();
      report({
        pair: pair ? { rank: pair.rank, ranks: pair.ranks, sum: sum.item() } : null,
        inner: inner?.ranks, world: world.item(), ended });`,
    );
    expect(results.map(({ pair }) => pair)).toEqual([
      { rank: 1, ranks: [2, 0], sum: 4 },
      null,
      { rank: 0, ranks: [2, 0], sum: 4 },
    ]);
    expect(results.map(({ world }) => world)).toEqual([3, 3, 3]);
    expect(results[0]!.ended).toMatchObject({ code: 'ERR_DISPOSED', op: 'barrier' });
    expect(results).toMatchObject([{ inner: [0] }, {}, {}]);
  });

  it('of one process work', async () => {
    const [result] = await ranksJson<{ sum: number; objects: string[] }>(
      1,
      `report({ sum: (await group.allReduce(Tensor.from([7]), 'mean')).item(), objects: await group.allGatherObject('x') });`,
    );
    expect(result).toEqual({ sum: 7, objects: ['x'] });
  });
});

describe('faults', () => {
  it('of arguments are named before anything is sent, and the group goes on', async () => {
    const [faults] = await ranksJson<Told[] & { 0: Told }>(
      2,
      `
      const x = Tensor.from([1, 2, 3]);
      const disposed = Tensor.from([1]);
      disposed.dispose();
      const faults = [];
      for (const call of [
        () => group.allReduce(x.eq(1)),
        () => group.allReduce(x.to({ dtype: 'int16' })),
        () => group.allReduce(x.to({ dtype: 'int64' }), 'mean'),
        () => group.allReduce(x, 'median'),
        () => group.allReduce(disposed),
        () => group.allReduce([1]),
        () => group.broadcast(x, 2),
        () => group.reduceScatter(x),
        () => group.newGroup([0, 0]),
        () => group.newGroup([2]),
        () => group.newGroup([]),
        () => group.allGatherObject(undefined),
        () => group.monitoredBarrier(0),
      ]) faults.push(await told(call()));
      faults.push((await group.allReduce(x)).toFloat32()[2]);
      report(faults);`,
    );
    const messages = (faults as (Told | number)[]).map((fault) =>
      typeof fault === 'number' ? fault : `${fault.name}: ${fault.message}`,
    );
    expect(messages).toEqual([
      'TorchError: Expected a float, int64, int32, int8 or uint8 tensor for allReduce() but received one of dtype Bool; convert it first',
      'TorchError: Expected a float, int64, int32, int8 or uint8 tensor for allReduce() but received one of dtype Short; convert it first',
      'TorchError: Expected a tensor of floats for the mean of allReduce() but received one of dtype Long; take the sum, or convert it first',
      "TorchError: Expected 'sum', 'mean', 'max' or 'min' for argument 'reduction' of allReduce() but received 'median'",
      "TorchError: The Tensor passed as 'tensor' to allReduce() was already disposed; keep() it when a scope must not free it",
      'TypeError: Expected a Tensor but received an array',
      "TorchError: Expected a rank from 0 to 1 for argument 'source' of broadcast() but received 2",
      'TorchError: Expected a tensor whose first dimension is a multiple of the 2 ranks for reduceScatter() but received shape [3]',
      'RangeError: Expected each rank once but received 0 twice',
      'RangeError: Expected an integer from 0 to 1 for ranks[0] but received number 2',
      'RangeError: Expected at least one rank for ranks but received an array of 0',
      'TypeError: Expected a value that JSON can carry for allGatherObject() but received undefined',
      'RangeError: Expected an integer of 1 or more for timeout (milliseconds) but received number 0',
      6,
    ]);
  });

  it('of ranks that call differently are named on every rank, and the group goes on', async () => {
    const results = await ranksJson<(Told | number)[]>(
      3,
      `
      const odd = rank === 2;
      const faults = [];
      faults.push(await told(group.allReduce(Tensor.ones([odd ? 4 : 8, 3]))));
      faults.push(await told(group.allReduce(Tensor.ones([8], odd ? 'int64' : 'float32'))));
      faults.push(await told(group.allReduce(Tensor.ones([8]), odd ? 'max' : 'sum')));
      faults.push(await told(odd ? group.barrier() : group.allGather(Tensor.ones([2]))));
      faults.push(await told(group.newGroup(odd ? [0, 2] : [0, 1])));
      faults.push(await told(group.broadcast(Tensor.ones(new Array(90).fill(1)), rank % 2)));
      faults.push((await group.allReduce(Tensor.from([rank]))).item());
      report(faults);`,
    );
    const same = 'Expected the same call on all ranks but rank 0 calls ';
    for (const [rank, faults] of results.entries()) {
      const messages = faults.map((fault) => (typeof fault === 'number' ? fault : fault.message));
      expect(messages.slice(0, 5)).toEqual([
        `allReduce(): rank ${rank} of 3: ${same}allReduce(Float [8, 3], sum) and rank 2 allReduce(Float [4, 3], sum)`,
        `allReduce(): rank ${rank} of 3: ${same}allReduce(Float [8], sum) and rank 2 allReduce(Long [8], sum)`,
        `allReduce(): rank ${rank} of 3: ${same}allReduce(Float [8], sum) and rank 2 allReduce(Float [8], max)`,
        // A message that names its operation is not headed by it once more.
        `${rank === 2 ? '' : 'allGather(): '}rank ${rank} of 3: ${same}allGather(Float [2]) and rank 2 barrier()`,
        `newGroup(): rank ${rank} of 3: ${same}newGroup([0, 1]) and rank 2 newGroup([0, 2])`,
      ]);
      expect(messages[5]).toMatch(/ and rank 1 broadcast\(Float \[1, .*\.\.\. #\d+$/);
      expect(messages[6]).toBe(3);
    }
  });

  it('of init are said before it connects', async () => {
    const options = {
      backend: 'gloo',
      store: { host: '127.0.0.1', port: 1 },
      rank: 0,
      worldSize: 1,
    } as const;
    await expect(init({ ...options, rank: 1 })).rejects.toThrow('an integer from 0 to 0 for rank');
    await expect(init({ ...options, worldSize: 0 })).rejects.toThrow('of 1 or more for worldSize');
    await expect(init({ ...options, timeout: 0.5 })).rejects.toThrow('timeout (milliseconds)');
    await expect(init({ ...options, store: { host: 'x', port: 70000 } })).rejects.toThrow(
      'an integer from 1 to 65535 for store.port but received number 70000',
    );
    await expect(init({ ...options, backend: 'mpi' as 'gloo' })).rejects.toThrow(
      "'gloo' or 'nccl' for backend",
    );
    expect(isAvailable('gloo')).toBe(true);
    expect(isAvailable('mpi' as 'gloo')).toBe(false);
    if (!isAvailable('nccl'))
      await expect(init({ ...options, backend: 'nccl' })).rejects.toThrow('that this build and machine have');
  });

  it('name the ranks that never came', async () => {
    const results = await ranksJson<Told | 'absent'>(
      4,
      `report(rank % 2 ? 'absent' : await told(join({ timeout: 1500 })));
       process.exit(0);`,
      { joins: false },
    );
    for (const rank of [0, 2])
      expect(results[rank]).toMatchObject({ code: 'ERR_DISTRIBUTED', op: 'init', rank });
    expect((results[0] as Told).message).toBe(
      'init(): rank 0 of 4: Waited 1.5 s for 4 processes, but ranks 1, 3 did not come',
    );
  });

  it('name contradictions between processes', async () => {
    const claims = await ranksJson<Told>(
      2,
      'report(await told(init({ backend: "gloo", store: { host: "127.0.0.1", port: Number(process.env.MASTER_PORT), isServer: rank === 0 }, rank: 0, worldSize: 2, timeout: 1500 }))); process.exit(0);',
      { joins: false },
    );
    expect(claims.some(({ message }) => message.includes('Two processes claim rank 0 of 2'))).toBe(true);
    const sizes = await ranksJson<Told>(
      2,
      'report(await told(join({ worldSize: 2 + rank, timeout: 1500 }))); process.exit(0);',
      { joins: false },
    );
    expect(sizes.some(({ message }) => /counts \d processes, but others count \d/.test(message))).toBe(true);
  });

  it('of a store that cannot be reached say why', async () => {
    const [told] = await ranksJson<Told[]>(
      1,
      `
      const reach = (host) => told(init({ backend: 'gloo', store: { host, port: Number(process.env.MASTER_PORT) },
        rank: 1, worldSize: 2, timeout: 500 }));
      report([await reach('127.0.0.1'), await reach('no-such-host.invalid')]);
      process.exit(0);`,
      { joins: false },
    );
    expect(told!.map(({ message }) => message.replace(/:\d+ within/, ':PORT within'))).toEqual([
      "init(): rank 1 of 2: Could not reach rank 0's store at 127.0.0.1:PORT within 0.5 s: nobody answers there. Check address and port, and that rank 0 runs",
      "init(): rank 1 of 2: Could not reach rank 0's store at no-such-host.invalid:PORT within 0.5 s: no address is known for that name. Check the name",
    ]);
  });

  it('of a port in use name it', async () => {
    const [result] = await ranksJson<Told>(
      1,
      `
      const { createServer } = await import('node:net');
      const server = createServer().listen(Number(process.env.MASTER_PORT));
      await new Promise((resolve) => server.once('listening', resolve));
      report(await told(join({ timeout: 1500 })));
      process.exit(0);`,
      { joins: false },
    );
    expect(result!.message).toMatch(/^init\(\): rank 0 of 1: Port \d+ is already in use on this machine$/);
  });

  it('monitoredBarrier names who is missing', async () => {
    const results = await ranksJson<Told | 'absent'>(
      3,
      `report(rank === 1 ? 'absent' : await told(group.monitoredBarrier(1000)));
       if (rank === 1) await new Promise((resolve) => setTimeout(resolve, 2500));
       process.exit(0);`,
    );
    expect((results[0] as Told).message).toMatch(/^monitoredBarrier\(\): rank 0 of 3: .*\b1\b.*1000 ms/s);
    expect((results[2] as Told).message).toMatch(/^monitoredBarrier\(\): rank 2 of 3: .*rank 0/s);
  });

  it('a killed peer ends a call at once, a silent one at the time-out', async () => {
    const results = await runRanks(
      2,
      `
      await group.barrier();
      if (rank === 1) setTimeout(() => process.kill(process.pid, 'SIGKILL'), 300);
      else { report(await told(group.allReduce(Tensor.ones([1000])))); process.exit(0); }`,
      { timeout: 15_000 }, // below the group's own time-out of 20 s
    );
    const killed = JSON.parse(results[0]!.stdout) as Told;
    expect(killed).toMatchObject({ code: 'ERR_DISTRIBUTED', op: 'allReduce', rank: 0 });
    expect(killed.message).toMatch(
      /^allReduce\(\): Rank 1 of 2 \(process \d+ on \S+\) no longer answers\. This is rank 0 \(\w((?!GLHF).)* peer((?!GLHF).)*\)$/,
    );
    const silent = await ranksJson<Told>(
      2,
      `
      const quick = await init({ backend: 'gloo', store: { host: '127.0.0.1', port: Number(process.env.MASTER_PORT) },
        rank, worldSize: 2, timeout: 1000 });
      if (rank === 1) { report('silent'); setTimeout(() => process.exit(0), 2500); }
      else { report(await told(quick.allReduce(Tensor.ones([4])))); process.exit(0); }`,
      { joins: false },
    );
    expect(silent[0]!.message).toMatch(
      /^allReduce\(\): Rank 1 of 2 \(.*\) answers, but has not come to the call in which the others waited\. This is rank 0 \(.*timed? ?out.*\)$/i,
    );
  });
});

describe('the end of a process', () => {
  it.each([
    ['without destroy()', 'await group.barrier();', 0],
    ['by process.exit', 'await group.barrier(); process.exit(3);', 3],
    [
      'by process.exit with a call that nobody answers',
      'if (rank === 0) group.allReduce(Tensor.ones([1])).catch(() => {}); setTimeout(() => process.exit(4), 300);',
      4,
    ],
    ['by an exception', 'await group.barrier(); throw new Error("mine");', 1],
    [
      'while it waits for others',
      'init({ backend: "gloo", store: { host: "127.0.0.1", port: 9 }, rank: 1, worldSize: 2, timeout: 60000 }).catch(() => {}); setTimeout(() => process.exit(5), 300);',
      5,
    ],
  ])('%s does not wait for peers', async (_, code, exit) => {
    // Below the group's time-out of 20 s: a process that waited for it would be ended by a signal.
    const results = await runRanks(2, code, { timeout: 15_000 });
    expect(results.map((r) => [r.code, r.signal])).toEqual([
      [exit, null],
      [exit, null],
    ]);
  });
});
