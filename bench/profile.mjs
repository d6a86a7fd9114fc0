// npm run bench -- profile: where the time of an iteration goes, for each phase, export and validation, by kind of work
// and by operation; beside what the arithmetic alone would take. The sizes of the pipeline's benchmark.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatTable } from '../dist/export/table.js';
import { getBackbone } from '../dist/models/backbones.js';
import { beginIteration, endIteration, Profiler, span } from '../dist/profile/index.js';
import { encoderFlops, memoryGbps } from './lib/arithmetic.mjs';
import { machineFacts, print, processFacts, say } from './lib/measuring.mjs';
import { atLeast, listOf, RUNS, readOptions, THREADS } from './lib/options.mjs';
import { groupOf, selfTimes } from './lib/self-times.mjs';
import * as workloads from './workloads.mjs';

const HELP = `Usage: npm run bench -- profile [--json] [--threads N] [--runs N] [--top N] [--kinds LIST]

Shares of the time of an iteration by kind of work and by operation (crop 320, batch 4, mit_b1, float32, CPU; 3 runs
after a warm-up; the 8 largest operations; all kinds: cls,cam,affinity,export,validation). A trace of a whole run: node dist/train.js ... --profile.`;

const ALL = ['cls', 'cam', 'affinity', 'export', 'validation'];

const options = readOptions('profile', HELP, {
  threads: THREADS(),
  runs: RUNS('3'),
  kinds: { value: ALL.join(','), read: listOf(ALL) },
  top: { value: '8', read: atLeast(1) },
});
const { runs } = options;
const threads = workloads.useThreads(options.threads);
const matmulGflops = workloads.matmulGflops();
const KINDS = options.kinds;

let text = '';
const profiler = new Profiler({
  facts: {},
  write: (json) => {
    text = json;
  },
  warmup: 1,
  iterations: runs,
});
say(`Recording ${runs} iterations of ${KINDS.join(', ')} with ${threads} threads`);
const training = workloads.training();
for (const phase of KINDS.filter((kind) => kind !== 'export' && kind !== 'validation')) {
  for (let i = 0; i <= runs; i++) {
    beginIteration(phase);
    span('step', () => training.step(phase));
  }
  endIteration();
}
training.dispose();
const folder = mkdtempSync(join(tmpdir(), 'afa-bench-'));
const inference = workloads.inference(folder);
// Both begin their own iterations, one an image.
if (KINDS.includes('export')) for (let i = 0; i <= runs; i++) await inference.exportMap();
if (KINDS.includes('validation')) for (let i = 0; i <= runs; i++) await inference.validateImage();
rmSync(folder, { recursive: true });
profiler.finish();

/** GFLOP of the encoder alone, which has most of the arithmetic; backward counts twice the forward. */
function arithmeticOf(kind) {
  const pass = (side) => encoderFlops(getBackbone('mit_b1'), side) / 1e9;
  const maps = 2 * (pass(320) + pass(160) + pass(480));
  return {
    cls: 12 * pass(320),
    cam: 12 * pass(320) + 4 * maps,
    affinity: 12 * pass(320) + 4 * maps,
    export: pass(320) + maps,
    validation: pass(320),
  }[kind];
}

const events = JSON.parse(text).traceEvents.filter(({ ph, tid }) => ph === 'X' && tid === 1);

/** Sums over the recorded iterations of a kind, as shares of their time. */
function describe(kind) {
  const windows = events.filter(({ cat, name }) => cat === 'iteration' && name === kind);
  const total = windows.reduce((sum, { dur }) => sum + dur, 0);
  const byName = new Map();
  for (const window of windows)
    for (const entry of selfTimes(events, window).values()) {
      const sum = byName.get(entry.name) ?? { ...entry, count: 0, self: 0 };
      byName.set(entry.name, { ...sum, count: sum.count + entry.count, self: sum.self + entry.self });
    }
  const shares = [...byName.values()]
    .map(({ name, cat, count, self }) => ({ name, cat, calls: count / windows.length, share: self / total }))
    .toSorted((a, b) => b.share - a.share);
  const groups = {};
  for (const entry of shares) groups[groupOf(entry)] = (groups[groupOf(entry)] ?? 0) + entry.share;
  const ordered = Object.entries(groups).toSorted((a, b) => b[1] - a[1]);
  return {
    secondsPerIteration: total / windows.length / 1e6,
    encoderGflop: arithmeticOf(kind),
    arithmeticSeconds: arithmeticOf(kind) / matmulGflops,
    groupShares: Object.fromEntries(ordered),
    top: shares.slice(0, options.top),
  };
}

const result = {
  machine: { ...machineFacts(), libtorch: workloads.libtorchVersion() },
  threads,
  runs,
  matmulGflops,
  memoryGbps: memoryGbps(),
  kinds: Object.fromEntries(KINDS.map((kind) => [kind, describe(kind)])),
  ...processFacts(),
};

const percent = (share) => `${(100 * share).toFixed(1)} %`;

print(result, options.json, () => {
  const groups = Object.keys(result.kinds[KINDS[0]].groupShares);
  for (const kind of KINDS)
    for (const group of Object.keys(result.kinds[kind].groupShares))
      if (!groups.includes(group)) groups.push(group);
  const rows = groups.map((group) => [
    group,
    ...KINDS.map((kind) => percent(result.kinds[kind].groupShares[group] ?? 0)),
  ]);
  const each = (show) => KINDS.map((kind) => show(result.kinds[kind]));
  rows.push(['seconds', ...each((kind) => kind.secondsPerIteration.toFixed(2))]);
  rows.push(['at the matrix rate', ...each((kind) => kind.arithmeticSeconds.toFixed(2))]);
  const tops = KINDS.map((kind) => {
    const lines = result.kinds[kind].top.map(({ name, calls, share }) => [
      name,
      percent(share),
      calls.toFixed(0),
    ]);
    return formatTable(lines, { header: [kind, 'share', 'calls'], align: ['left', 'right', 'right'] });
  });
  const facts = `${threads} threads, matrix product ${matmulGflops.toFixed(0)} GFLOP/s, memory ${result.memoryGbps.toFixed(0)} GB/s, load average ${result.loadAverage.toFixed(1)}`;
  return [
    formatTable(rows, {
      header: ['share of the time', ...KINDS],
      align: ['left', ...KINDS.map(() => 'right')],
    }),
    ...tops,
    facts,
  ].join('\n\n');
});
