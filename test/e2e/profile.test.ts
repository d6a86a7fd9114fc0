/** --profile: a trace that opens, whose events nest, and whose parts add up to the iterations they are part of. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { TraceEvent } from '../../src/profile/trace.js';
import { Workplace } from './workplace.js';

type Timed = TraceEvent & { ts: number; dur: number };
interface File {
  otherData: Record<string, unknown>;
  traceEvents: TraceEvent[];
}

const place = new Workplace().phantom();
const config = place.config({
  'train.max_iters': 18,
  'train.cam_iters': 5,
  'train.aff_label_switch_iter': 11,
  'train.eval_iters': 18,
  'train.num_workers': 1,
  'val.batch_size': 1,
});

/** Pictures of each logged step would take longer than the steps. */
const QUICK = ['--threads', '1', '--set', 'train.tensorboard.enabled=false'];

const read = (...path: string[]) => place.json(...path) as unknown as File;
const timed = (file: File) => file.traceEvents.filter((event): event is Timed => event.ph === 'X');
const iterations = (file: File) => timed(file).filter((event) => event.cat === 'iteration');
const ends = ({ ts, dur }: Timed) => ts + dur;
const inside = (outer: Timed, inner: Timed) =>
  inner !== outer && inner.tid === outer.tid && inner.ts >= outer.ts && ends(inner) <= ends(outer);
const named = (file: File, name: string) => timed(file).filter((event) => event.name === name);

/** Pairs of a thread that overlap without one holding the other; clocks are read a moment apart. */
function crossing(events: Timed[]): string[] {
  const open: Timed[] = [];
  const found: string[] = [];
  for (const event of events.toSorted((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    while (open.length > 0 && ends(open.at(-1)!) <= event.ts + 0.01) open.pop();
    const around = open.at(-1);
    if (around && ends(around) + 0.01 < ends(event)) found.push(`${around.name} / ${event.name}`);
    open.push(event);
  }
  return found;
}

describe('of a training', () => {
  let file: File;
  beforeAll(async () => {
    const { code, stderr } = await place.train('--config', config, ...QUICK, '--profile');
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('work/profile-train.json');
    file = read('work', 'profile-train.json');
  });

  it('holds three iterations of each kind, after two that are not recorded', () => {
    const kinds = ['cls', 'cam', 'affinity', 'validation', 'export'];
    const expected = kinds.flatMap((kind) => [3, 4, 5].map((number) => [kind, number]));
    expect(iterations(file).map(({ name, args }) => [name, args!.number])).toEqual(expected);
    const first = iterations(file).find(({ name }) => name === 'cam')!;
    // Classification lasts up to and including train.cam_iters, counted from 0.
    expect(first.args!.iteration).toBe(6 + 3);
    expect(file.otherData).toMatchObject({ command: 'train', warmup: 2, iterations: 3, threads: 1 });
    expect(file.otherData).not.toHaveProperty('eventsWithoutPlace');
  });

  it('nests on every thread', () => {
    const events = timed(file);
    for (const tid of new Set(events.map((event) => event.tid)))
      expect(crossing(events.filter((event) => event.tid === tid)).slice(0, 3), `thread ${tid}`).toEqual([]);
  });

  it('has the parts of a step, which add up to it, and a step within its iteration', () => {
    const always = ['forward', 'backward', 'finite gradients', 'AdamW'];
    const parts = {
      cls: always,
      cam: ['labels', 'losses', ...always],
      affinity: ['labels', 'losses', ...always],
    };
    for (const iteration of iterations(file)) {
      const wanted = parts[iteration.name as keyof typeof parts];
      if (!wanted) continue;
      const within = timed(file).filter((event) => event.cat === 'span' && inside(iteration, event));
      const step = within.find((event) => event.name === 'step')!;
      expect(within.map(({ name }) => name)).toEqual(expect.arrayContaining(['wait for data', 'log']));
      const sum = wanted.reduce((total, name) => {
        const part = within.find((event) => event.name === name)!;
        expect(inside(step, part), `${name} in the step`).toBe(true);
        return total + part.dur;
      }, 0);
      expect(sum).toBeLessThanOrEqual(step.dur);
      expect(sum / step.dur, `${iteration.name}: share of the step that has a name`).toBeGreaterThan(0.7);
    }
  });

  it('names CAM passes, PAR and propagation within the labels', () => {
    const labels = named(file, 'labels');
    expect(labels).toHaveLength(6);
    const count = (name: string) =>
      named(file, name).filter((event) => labels.some((label) => inside(label, event))).length;
    // A batch without any class needs no maps.
    expect(count('CAM passes')).toBeGreaterThan(count('propagation'));
    expect(count('propagation')).toBeGreaterThan(0);
    expect(count('PAR')).toBeGreaterThanOrEqual(count('CAM passes'));
  });

  it('holds operations with their shapes inside the parts that run them', () => {
    const [forward] = named(file, 'forward');
    const operations = timed(file).filter(({ cat }) => cat === 'operation');
    const convolutions = operations.filter(
      ({ name, tid, ts }) => name === 'aten::convolution' && inside(forward!, { tid, ts, dur: 0 } as Timed),
    );
    // Two images of 64 x 64 and the weights of mit_b0's first patch embedding.
    expect(convolutions[0]!.args!.shapes).toMatch(/^\[2,3,64,64\] \[32,3,7,7\]/);
    expect(named(file, 'backward').every((part) => operations.some((op) => inside(part, op)))).toBe(true);
  });

  it('holds what the loader worker did, validation and checkpoints', () => {
    const names = file.traceEvents.filter(({ ph }) => ph === 'M').map(({ args }) => args!.name);
    expect(names).toEqual(expect.arrayContaining(['main', 'loader worker 1']));
    expect(named(file, 'build batch').length).toBeGreaterThan(0);
    expect(named(file, 'build batch').every(({ tid }) => tid !== 1)).toBe(true);
    expect(named(file, 'validation').filter(({ cat }) => cat === 'span')).toHaveLength(1);
    expect(named(file, 'save last.pth').length).toBeGreaterThan(0);
    expect(named(file, 'save weights')).toHaveLength(2);
  });

  it('the same run without --profile gives the same weights', async () => {
    await place.train('--config', config, ...QUICK, '--work_dir', 'plain');
    expect(place.files('plain').some((name) => name.startsWith('profile'))).toBe(false);
    const weights = (folder: string) => place.read(folder, 'checkpoints', 'wetr_iter_18.pth');
    expect(weights('work').equals(weights('plain'))).toBe(true);
  });

  it.each([
    ['gen-attn', 'export', (...args: string[]) => place.genAttn(...args, '--overwrite')],
    ['evaluate', 'evaluation', (...args: string[]) => place.evaluate(...args)],
  ] as const)('%s records its images', async (_, kind, run) => {
    const { code, stderr } = await run(
      '--config',
      config,
      '--profile',
      `traces/${kind}.json`,
      '--threads',
      '1',
    );
    expect(code, stderr).toBe(0);
    const trace = read('traces', `${kind}.json`);
    expect(iterations(trace).map(({ name }) => name)).toEqual([kind, kind, kind]);
    expect(named(trace, 'aten::convolution').length).toBeGreaterThan(0);
  });
});

describe('a file', () => {
  it('is whole after Ctrl-C', async () => {
    const run = place.start('train.js', [
      '--cpu',
      ...['--config', config, '--work_dir', 'stopped', '--profile', 'stopped.json'],
      ...['--set', 'train.max_iters=5000'],
    ]);
    await run.says('Iter: 4;');
    expect((await run.signal('SIGINT')).code).toBe(130);
    const found = iterations(read('stopped.json')).map(({ name }) => name);
    expect(found.slice(0, 2)).toEqual(['cls', 'cls']);
  });

  it('that cannot be written stops the command before it begins', async () => {
    const { code, stderr } = await place.train(
      '--config',
      config,
      '--work_dir',
      'none',
      '--profile',
      '/proc/x/y.json',
    );
    expect(code).toBe(2);
    expect(stderr).toMatch(/\/proc\/x.*Choose another with --profile/s);
    expect(place.files('none', 'checkpoints')).toEqual([]);
  });
});
