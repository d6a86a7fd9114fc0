/** What the benchmarks say, not how long anything takes: comparing results, self times, arithmetic, command lines. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encoderFlops } from '../../bench/lib/arithmetic.mjs';
import { compareFigures, machineDifferences } from '../../bench/lib/compare.mjs';
import { spread } from '../../bench/lib/measuring.mjs';
import { groupOf, selfTimes } from '../../bench/lib/self-times.mjs';
import { getBackbone } from '../../src/models/backbones.js';

interface Compared {
  figure: string;
  verdict: string;
}

describe('comparing two results', () => {
  const verdicts = (old: object, now: object) =>
    Object.fromEntries(compareFigures(old, now).map((one: Compared) => [one.figure, one.verdict]));

  it('knows of each figure whether more is better', () => {
    const figures = (factor: number) => ({
      matmulGflops: 100 * factor,
      phases: { cls: { secondsPerIteration: 2 * factor } },
      loader: { imagesPerSecond: 400 * factor, cpuMsPerImage: 3 * factor },
      peakRssMb: 1000 * factor,
      pageFaults: { minor: 500 * factor },
      threads: 2 * factor,
    });
    expect(verdicts(figures(1), figures(1.5))).toEqual({
      matmulGflops: 'better',
      'phases.cls.secondsPerIteration': 'worse',
      'loader.imagesPerSecond': 'better',
      'loader.cpuMsPerImage': 'worse',
      peakRssMb: 'worse',
      'pageFaults.minor': 'worse',
    });
  });

  it('calls the same what lies within 3 % or the quartiles of either', () => {
    const run = (seconds: number, quartiles?: [number, number]) => ({ a: { seconds, quartiles } });
    expect(verdicts(run(1), run(1.02))).toEqual({ 'a.seconds': 'same' });
    expect(verdicts(run(1, [0.9, 1.3]), run(1.2, [1.1, 1.4]))).toEqual({ 'a.seconds': 'same' });
    expect(verdicts(run(1, [0.9, 1.1]), run(1.2, [1.15, 1.4]))).toEqual({ 'a.seconds': 'worse' });
    expect(verdicts(run(1, [0.9, 1.1]), run(0.5, [0.4, 0.6]))).toEqual({ 'a.seconds': 'better' });
    // Small shares are compared by their difference: 1 % is not twice as bad as half a per cent.
    expect(verdicts({ scopeShare: { of1: 0.005 } }, { scopeShare: { of1: 0.01 } })).toEqual({
      'scopeShare.of1': 'same',
    });
  });

  it('gives the ratio, null where there is none, and only what both have', () => {
    const [figure] = compareFigures(
      { seconds: 4, old: { seconds: 1 } },
      { seconds: 1, other: { seconds: 2 } },
    );
    expect(figure).toEqual({ figure: 'seconds', old: 4, new: 1, ratio: 0.25, verdict: 'better' });
    expect(compareFigures({ seconds: 0 }, { seconds: 1 })[0]!.ratio).toBeNull();
  });

  it('names what is not the same about the machines', () => {
    const old = { machine: { cpu: 'A', cores: 2 }, threads: 2, loadAverage: 0.52 };
    const now = { machine: { cpu: 'B', cores: 2 }, threads: 2, loadAverage: 7 };
    expect(machineDifferences(old, now)).toEqual(['cpu: A, now B', 'loadAverage: 0.5, now 7.0']);
    expect(machineDifferences(old, old)).toEqual([]);
  });
});

it('a spread is the median between its quartiles', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
      const { median, quartiles, runs } = spread(values);
      expect(quartiles[0]! <= median && median <= quartiles[1]!).toBe(true);
      expect([values.includes(median), runs]).toEqual([true, values.length]);
    }),
  );
});

describe('self times', () => {
  const event = (name: string, ts: number, dur: number) => ({ name, cat: 'operation', ts, dur });

  it('take off what lies inside', () => {
    const events = [event('step', 0, 100), event('conv', 10, 50), event('mm', 20, 30), event('mm', 70, 10)];
    const found = [...selfTimes(events, { ts: 0, dur: 100 }).values()];
    expect(Object.fromEntries(found.map(({ name, self, count }) => [name, [self, count]]))).toEqual({
      step: [40, 1],
      conv: [20, 1],
      mm: [40, 2],
    });
  });

  it('add up to the window that holds all', () => {
    // A random tree of nested events: each child lies in a part of its parent's time.
    type Node = { name: string; children: readonly Node[] };
    const name = fc.constantFrom('a', 'b', 'c');
    const { node } = fc.letrec<{ node: Node }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 5 },
        fc.record({ name, children: fc.constant([]) }),
        fc.record({ name, children: fc.array(tie('node'), { maxLength: 3 }) }),
      ),
    }));
    fc.assert(
      fc.property(node, (root) => {
        const events: ReturnType<typeof event>[] = [];
        const place = ({ name, children }: Node, ts: number, dur: number) => {
          events.push(event(name, ts, dur));
          const share = dur / (children.length + 1);
          for (const [i, child] of children.entries()) place(child, ts + i * share, share);
        };
        place(root, 0, 4 ** 8);
        const sum = [...selfTimes(events, { ts: 0, dur: 4 ** 8 }).values()].reduce(
          (s, { self }) => s + self,
          0,
        );
        expect(sum).toBeCloseTo(4 ** 8, 3);
      }),
    );
  });

  it.each([
    ['aten::addmm', 'matrix products'],
    ['aten::mkldnn_convolution', 'convolutions'],
    ['aten::_scaled_dot_product_flash_attention_for_cpu', 'attention'],
    ['aten::upsample_bilinear2d', 'resizing'],
    ['aten::copy_', 'copies and layout'],
    ['aten::add', 'other operations'],
    ['CAM passes', 'addon and JavaScript'],
  ])('%s is counted to %s', (name, group) => expect(groupOf({ name })).toBe(group));
});

it("counts the encoder's arithmetic as the reference does", () => {
  // Counted operation by operation in the original's model: mit_b1, 12.5 GFLOP at 320 and 31.5 at 480.
  expect(encoderFlops(getBackbone('mit_b1'), 320) / 1e9).toBeCloseTo(12.5, 1);
  expect(encoderFlops(getBackbone('mit_b1'), 480) / 1e9).toBeCloseTo(31.5, 1);
});

describe('the command line', () => {
  const index = fileURLToPath(new URL('../../bench/index.mjs', import.meta.url));
  const bench = (...args: string[]) => spawnSync(process.execPath, [index, ...args], { encoding: 'utf8' });

  it.each([
    [['--bogus'], "Unknown option '--bogus'"],
    [['nothing'], "or all) but received 'nothing'"],
    [['metrics', '--slices', 'x'], "Expected an integer of 1 or more for --slices but received 'x'"],
    [['crf', '--size', '3'], "Expected HxW for --size but received '3'"],
    [['model', '--backbones', 'resnet'], "but received 'resnet'"],
    [['--compare', '/nowhere.json'], 'Expected the JSON of an earlier run at /nowhere.json'],
    [['metrics', '--compare'], 'Expected a file for --compare'],
  ])('%j exits 2 and shows the help', (args, message) => {
    const { status, stderr, stdout } = bench(...args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).toContain('Usage: npm run bench');
  });

  it('compares a run with an earlier one, as text and as JSON', () => {
    const folder = mkdtempSync(join(tmpdir(), 'afa-bench-test-'));
    const old = join(folder, 'old.json');
    const tiny = ['metrics', '--slices', '20', '--patients', '4', '--replicates', '20'];
    const first = bench(...tiny, '--json');
    expect(first.status, first.stderr).toBe(0);
    const facts = { ...JSON.parse(first.stdout), measuringMaps: { seconds: 1e6 } };
    writeFileSync(old, JSON.stringify(facts));
    const text = bench(...tiny, '--compare', old).stdout;
    expect(text).toMatch(/measuringMaps\.seconds +1\.000e\+6 +\S+ +0\.00 x +better/);
    const { comparison, slices } = JSON.parse(bench(...tiny, `--compare=${old}`, '--json').stdout);
    expect(slices).toBe(20);
    expect(comparison.figures[0]).toMatchObject({ figure: 'measuringMaps.seconds', verdict: 'better' });
    rmSync(folder, { recursive: true });
  });
});
