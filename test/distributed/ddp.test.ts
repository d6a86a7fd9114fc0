/**
 * DistributedDataParallel: several processes with shares of a batch must give what one process gives with the whole
 * of it. Source of every expected number: that one process, same seed, same code without Ddp.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { childJson } from '../native/support.js';
import { ranksJson, type Told } from './ranks.js';

interface Run {
  steps: { phase: string; loss: number; counts: number[] }[];
  digest: string;
}

const SHARE = new URL('./train-share.mjs', import.meta.url).href;
const folder = mkdtempSync(join(tmpdir(), 'ddp-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function floats(run: string, name: string): Float32Array {
  const bytes = readFileSync(join(folder, run, `${name}.bin`));
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

function furthest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

const train = (run: string) => {
  mkdirSync(join(folder, run));
  return `import { trainShare } from '${SHARE}';\nconsole.log(JSON.stringify(await trainShare('${join(folder, run)}')));`;
};

describe('Ddp', () => {
  let alone: Run;
  beforeAll(async () => {
    alone = await childJson<Run>(train('1'), { env: { RANK: '0', WORLD_SIZE: '1' } });
  });

  // Cast together, weights would get their gradients together, at the end of the backward pass.
  it('in bf16 exchanges gradients as they come: no casts of all weights at once, which one process has', async () => {
    const code = `
      const share = await import('${SHARE}');
      const { native } = await import('DIST/native/index.js');
      const model = share.makeModel({ amp: 'bf16' });
      const ddp = await Ddp.create(model, group);
      const casts = [];
      for (let step = 0; step < 2; step++) {
        native.recordOpsStart(100_000, false);
        const { loss, wanted } = share.losses(model, 'cls');
        const { names, events } = native.recordOpsStop();
        casts.push(events.filter((name, i) => i % 5 === 0 && names[name] === 'aten::_foreach_copy_').length);
        ddp.backward(loss, wanted);
      }
      report(casts);`;
    // The reducer comes with the first backward pass.
    expect(await ranksJson<number[]>(2, code)).toEqual([
      [1, 0],
      [1, 0],
    ]);
  });

  it.each([2, 3])('of %i processes equals one process with their batch in all three phases', async (size) => {
    const runs = await ranksJson<Run>(size, train(String(size)), { joins: false });
    for (const run of runs) {
      expect(run.digest, 'every rank ends with the same parameters and buffers').toBe(runs[0]!.digest);
      for (const [k, step] of run.steps.entries()) {
        expect(step.loss).toBeCloseTo(alone.steps[k]!.loss, 5);
        expect(step.counts).toEqual(alone.steps[k]!.counts);
      }
    }
    for (const phase of ['cls', 'cam', 'affinity']) {
      const expected = floats('1', `gradients-${phase}`);
      expect(furthest(expected, new Float32Array(expected.length))).toBeGreaterThan(1e-3);
      expect(furthest(floats(String(size), `gradients-${phase}`), expected)).toBeLessThan(1e-5);
    }
    expect(furthest(floats(String(size), 'state'), floats('1', 'state'))).toBeLessThan(1e-5);
  });

  it('accumulates without communication, then averages all that gathered', async () => {
    const code = (several: boolean) => `
      import { losses, makeModel, gradients } from '${SHARE}';
      import { writeFileSync } from 'node:fs';
      ${several ? '' : "import { scope } from 'DIST/tensor/index.js';"}
      const model = makeModel();
      ${several ? 'const ddp = await Ddp.create(model, group);' : 'const ddp = undefined;'}
      const sizes = [];
      for (const phase of ['cls', 'cam', 'affinity']) scope(() => {
        const { loss, wanted } = losses(model, phase, ddp);
        if (ddp) ddp.backward(loss, wanted, { sync: phase === 'affinity' });
        else loss.backward();
      });
      if (${several ? 'rank === 0' : 'true'})
        writeFileSync('${folder}/${several ? 'several' : 'one'}.bin', gradients(model));
      console.log('{}');
      ${several ? 'await group.barrier();' : ''}`;
    await childJson(code(false), { env: { RANK: '0', WORLD_SIZE: '1' } });
    await ranksJson(2, code(true));
    const [one, several] = ['one', 'several'].map((name) => floats('', name));
    expect(furthest(several!, one!)).toBeLessThan(2e-5);
  });

  it('sends float16 gradients where asked: the means are those of 11 bits', async () => {
    const code = (compression: string) => `
      import { losses, makeModel, gradients } from '${SHARE}';
      import { writeFileSync } from 'node:fs';
      const model = makeModel();
      const ddp = await Ddp.create(model, group, { gradientCompression: '${compression}' });
      scope(() => {
        const { loss, wanted } = losses(model, 'affinity', ddp);
        ddp.backward(loss, wanted);
      });
      if (rank === 0) writeFileSync('${folder}/${compression}.bin', gradients(model));
      report({});
      await group.barrier();`;
    await ranksJson(2, code('none'));
    await ranksJson(2, code('fp16'));
    const [exact, half] = [floats('', 'none'), floats('', 'fp16')];
    // Each share is rounded by at most 2^-11 of itself, and shares may cancel: as a whole, well below 1e-3.
    const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
    const error = norm(half.map((value, i) => value - exact[i]!)) / norm(exact);
    expect(error, 'they did travel as float16').toBeGreaterThan(1e-5);
    expect(error).toBeLessThan(1e-3);
  });

  it('names the first difference between models on every rank, and their sizes', async () => {
    const shapes = await ranksJson<Told>(
      3,
      `import { makeModel } from '${SHARE}';
       report(await told(Ddp.create(makeModel(rank === 1 ? { numClasses: 4 } : {}), group)));`,
    );
    for (const error of shapes) {
      expect(error.name).toBe('ModelMismatch');
      expect(error.message).toMatch(
        /^Expected the same model on all 3 ranks, but entry \d+ is decoder\.linear_pred\.weight float32 \[4, 32, 1, 1\] trainable on rank 1 but decoder\.linear_pred\.weight float32 \[3, 32, 1, 1\] trainable on rank 0\. Start/,
      );
    }
    const counts = await ranksJson<Told>(
      2,
      `import { makeModel } from '${SHARE}';
       report(await told(Ddp.create(makeModel(rank === 1 ? { backbone: 'mit_b1' } : {}), group)));`,
    );
    expect(counts[0]!.message).toBe(counts[1]!.message);
    const frozen = await ranksJson<Told>(
      2,
      `import { makeModel } from '${SHARE}';
       const model = makeModel();
       if (rank) model.parameters().get('classifier.weight').requiresGrad = false;
       report(await told(Ddp.create(model, group)));`,
    );
    expect(frozen[1]!.message).toContain('frozen on rank 1 but classifier.weight float32');
  });

  it('names parameters that were said to have a gradient and have none', async () => {
    const errors = await ranksJson<{ op: string; message: string; live: number }>(
      2,
      `import { losses, makeModel } from '${SHARE}';
       const model = makeModel();
       const ddp = await Ddp.create(model, group);
       const before = memory().liveTensors;
       try {
         scope(() => ddp.backward(losses(model, 'cls', ddp).loss, { cls: true, seg: true, affinity: false }));
       } catch (e) { report({ op: e.op, message: e.message, live: memory().liveTensors - before }); }
       process.exit(0);`,
    );
    for (const error of errors) {
      expect(error.op).toBe('reducerBackward');
      expect(error.message).toMatch(
        /^reducerBackward\(\): rank \d of 2: Expected a gradient for .* but decoder\.linear_c4\.proj\.weight, .* and 10 more received none/,
      );
      expect(error.live).toBe(0);
    }
  });

  it.each(['pairs', 'kinds'])(
    'carries whole training steps (means over %s): one loss, one decision, one set of weights on all ranks',
    async (balance) => {
      interface Steps {
        results: {
          loss: number;
          segLoss: number;
          foreground: number;
          posCount: number;
          nonFinite?: string;
        }[];
        digest: string;
        digests: string[];
        live: number[];
      }
      const code = (several: boolean) => `
      import { digest, makeModel, makeOptimizer, rank as r, size as n, state, trainBatch } from '${SHARE}';
      import { trainStep } from 'DIST/training/step.js';
      ${several ? '' : "import { memory } from 'DIST/tensor/index.js';"}
      const model = makeModel();
      const ddp = ${several ? 'await Ddp.create(model, group)' : 'undefined'};
      const optimizer = makeOptimizer(model);
      const options = {
        scales: [1, 0.5], thresholds: { bkgScore: 0.45, highThre: 0.55, lowThre: 0.35, ignoreIndex: 255 },
        par: { numIter: 2, dilations: [1, 2] }, radius: 2, affinitySource: 'refined_aff_label', camMode: 'eval',
        segDetach: false, weights: { cls: 1, seg: 0.1, aff: 0.1 }, device: 'cpu', stride: 16, affBalance: '${balance}', ddp };
      const results = [], digests = [], live = [];
      for (const phase of ['cls', 'cam', 'affinity', 'broken', 'affinity']) {
        const batch = trainBatch();
        // One image of the last rank's share is lost.
        if (phase === 'broken' && r === n - 1) batch.pixels.data.fill(NaN, batch.pixels.data.length / 2);
        const real = phase === 'broken' ? 'affinity' : phase;
        results.push(trainStep(model, optimizer, batch, real, options));
        digests.push(digest(state(model)));
        live.push(memory().liveTensors);
      }
      console.log(JSON.stringify({ results, digests, live }));
      ${several ? 'await group.barrier();' : ''}`;
      const one = await childJson<Steps>(code(false), { env: { RANK: '0', WORLD_SIZE: '1' } });
      const [a, b] = (await ranksJson<Steps>(2, code(true))) as [Steps, Steps];
      expect(a.results).toEqual(b.results);
      expect(a.digests).toEqual(b.digests);
      expect(
        new Set(a.live.slice(1)).size,
        'the first step with pixel labels keeps a mask of near pairs',
      ).toBe(1);
      expect(a.results.map(({ nonFinite }) => nonFinite)).toEqual([
        ...Array(3).fill(undefined),
        'loss',
        undefined,
      ]);
      expect(a.digests[3], 'a step that one rank cannot make leaves every rank as it was').toBe(a.digests[2]);
      // Labels follow from thresholds, where rounding may move a pixel: the first steps of a phase are compared alone.
      for (const k of [0, 1]) expect(a.results[k]!.loss).toBeCloseTo(one.results[k]!.loss, 3);
      expect(a.results[1]!.foreground).toBeGreaterThan(0);
      expect(Math.abs(a.results[1]!.foreground - one.results[1]!.foreground)).toBeLessThan(10);
    },
  );
});
