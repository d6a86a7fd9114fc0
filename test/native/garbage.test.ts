/** The garbage collector, in processes of their own with --expose-gc: it frees what nobody disposed. */

import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { childJson } from './support.js';

beforeAll(() => {
  if (!existsSync(new URL('../../dist/tensor/index.js', import.meta.url)))
    throw new Error('Run `npm run build:ts` before these tests.');
});

const PRELUDE = `
import { memory, scope, Tensor } from 'DIST/tensor/index.js';
// Finalizers run when the event loop turns.
const turn = () => new Promise((resume) => setImmediate(resume));
const collect = async () => { for (let k = 0; k < 4; k++) { globalThis.gc(); await turn(); } };
const print = (value) => console.log(JSON.stringify(value));
`;
const flags = ['--expose-gc'];

describe('garbage collection', () => {
  it('frees forgotten tensors', async () => {
    const result = await childJson(
      `${PRELUDE}
      (() => { for (let k = 0; k < 50; k++) Tensor.zeros([64, 1024]); })();
      const made = memory();
      await collect();
      print({ made, left: memory() });`,
      { flags },
    );
    expect(result).toMatchObject({
      made: { liveTensors: 50, liveBytes: 50 * 64 * 1024 * 4 },
      left: { liveTensors: 0, liveBytes: 0 },
    });
  });

  it('keeps what is still reachable, through a view alone too', async () => {
    const result = await childJson(
      `${PRELUDE}
      const view = (() => Tensor.from([1, 2, 3, 4]).narrow(0, 1, 2))();
      const kept = Tensor.ones([2]);
      await collect();
      print({ view: [...view.data()], kept: [...kept.data()], live: memory().liveTensors });`,
      { flags },
    );
    expect(result).toEqual({ view: [2, 3], kept: [1, 1], live: 2 });
  });

  it('collecting what was disposed frees nothing twice', async () => {
    const result = await childJson(
      `${PRELUDE}
      const results = [];
      for (let round = 0; round < 20; round++) {
        scope(() => { for (let k = 0; k < 50; k++) Tensor.zeros([2000]); });
        (() => { const x = Tensor.zeros([2000]); x.dispose(); x.dispose(); })();
        if (round % 5 === 0) await collect();
        results.push(memory());
      }
      await collect();
      print([...new Set(results.map((m) => m.liveTensors + '/' + m.liveBytes)), memory().liveTensors + '/' + memory().liveBytes]);`,
      { flags },
    );
    expect(result).toEqual(['0/0', '0/0']);
  });

  // 600 handles are nothing to V8: it collects them only because their 2.4 GB are reported to it.
  it.each([
    ['outside of scopes', 'Tensor.zeros([1024, 1024])'],
    ['that scopes hand on', 'scope(() => scope(() => Tensor.zeros([1024, 1024])))'],
    ['kept out of a scope', 'scope(() => void keep(Tensor.zeros([1024, 1024])))'],
    ['made after a scope that fails', 'fails(); Tensor.zeros([1024, 1024])'],
  ])('memory pressure alone makes V8 collect tensors %s in a loop that yields', async (_, body) => {
    const { peak } = await childJson<{ peak: number }>(
      `${PRELUDE}
      import { keep } from 'DIST/tensor/index.js';
      const fails = () => { try { scope(() => { throw new Error(); }); } catch {} };
      let peak = 0;
      for (let k = 0; k < 600; k++) {
        ${body};
        if (k % 10 === 0) { await turn(); peak = Math.max(peak, memory().liveBytes); }
      }
      print({ peak });`,
      { flags },
    );
    expect(peak).toBeLessThan(2 ** 30);
  });

  it('does not run for tensors that a scope holds: it could free none, and a GPU would wait for it', async () => {
    const { majors } = await childJson<{ majors: number }>(
      `${PRELUDE}
      import { constants, PerformanceObserver } from 'node:perf_hooks';
      let majors = 0;
      new PerformanceObserver((list) => {
        for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) majors++;
      }).observe({ entryTypes: ['gc'] });
      for (let k = 0; k < 60; k++) { scope(() => { for (let i = 0; i < 40; i++) Tensor.zeros([1024, 1024]); }); await turn(); }
      print({ majors });`,
    );
    expect(majors).toBeLessThan(10); // 60 and more where a scope's 160 MB are reported
  });

  it('frees models', async () => {
    const result = await childJson<{ made: number; left: number }>(
      `${PRELUDE}
      import { WeTr } from 'DIST/models/wetr.js';
      (() => { new WeTr({ backbone: 'mit_b0', numClasses: 2 }); })();
      const made = memory().liveTensors;
      await collect();
      print({ made, left: memory().liveTensors });`,
      { flags },
    );
    expect(result.made).toBeGreaterThan(100);
    expect(result.left).toBe(0);
  });
});
