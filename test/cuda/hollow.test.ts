/**
 * The CUDA path without a GPU: libtorch's CUDA build over a runtime whose kernels do nothing (hollow/hollow.h). What is left
 * is all that the host does: which operations CUDA has for which types, streams, copies, captures, allocations, waits and
 * errors. scripts/check-cuda-build.sh builds it and runs this; HOLLOW_GPU names the library.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Ended, observe, Workplace } from '../e2e/workplace.js';

const library = process.env.HOLLOW_GPU;
const skipped = library ? '' : ' (skipped: HOLLOW_GPU is not set; run scripts/check-cuda-build.sh)';
const place = new Workplace();
const log = place.path('calls.log');
const counters = place.path('counters');

const hollow = (more: Readonly<Record<string, string>> = {}) => ({
  LD_PRELOAD: library!,
  HOLLOW_BLANK: '1',
  HOLLOW_COUNTERS: counters,
  ...more,
});
const command = (script: string, args: readonly string[], more?: Readonly<Record<string, string>>) =>
  place.start(script, args, hollow(more)).ended;

/** Expects success, and that nothing was done which a GPU must not be asked for. */
function expectWell(ended: Ended): void {
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  expect(ended.stderr).not.toMatch(/hollow GPU has no|without CUDA graphs/);
  const faults = existsSync(log) ? readFileSync(log, 'utf8').match(/^FAULT.*$/gm) : null;
  expect(faults).toBeNull();
}

describe.skipIf(!library)(`on a hollow GPU${skipped}`, { timeout: 300_000 }, () => {
  const config = place.config({
    'train.max_iters': 24,
    'train.cam_iters': 7,
    'train.aff_label_switch_iter': 15,
  });
  const train = (args: readonly string[], more?: Readonly<Record<string, string>>) =>
    command('train.js', ['--config', config, '--cuda', '--set', 'train.log_iters=100', ...args], more);

  beforeAll(async () => {
    place.phantom();
    expectWell(await train([], { HOLLOW_LOG: log }));
  });

  it('a training runs through, validates, and exports maps', () => {
    expect(place.files('work')).toContain('checkpoints/wetr_iter_24.pth');
    expect(place.files('work', 'attention_maps').length).toBeGreaterThan(0);
    expect(place.json('work', 'summary.json')).toMatchObject({ backbone: 'mit_b0' });
  });

  it.each([
    ['bf16', ['--amp', 'bf16']],
    ['deterministic', ['--deterministic']],
    ['accumulated batches', ['--accumulate', '2']],
    ['no graphs', ['--set', 'train.cuda_graphs=off']],
    ['maps from the training pass', ['--set', 'cam.share_scale_1=true']],
    [
      'labels for small objects',
      ['--set', 'train.aff_label_point=centre', '--set', 'train.aff_balance=kinds'],
    ],
    ['average pooling', ['--pooling', 'gap']],
    ['steps that are logged with pictures', ['--set', 'train.log_iters=1']],
  ])('so does one with %s', async (title, args) => {
    expectWell(await train(['--work_dir', title.replaceAll(' ', '_'), ...args], { HOLLOW_LOG: log }));
  });

  it.each([
    ['gen-attn.js', ['--checkpoint', 'work/checkpoints/best.pth', '--overwrite', '--save_attn']],
    ['evaluate.js', ['--checkpoint', 'work/checkpoints/best.pth']],
    ['train.js', ['--resume', '--set', 'train.max_iters=26']],
  ])('%s %s', async (script, args) => {
    expectWell(await command(script, ['--config', config, '--cuda', ...args], { HOLLOW_LOG: log }));
  });

  it.each([
    ['100', 'the first recording'],
    ['450', 'that of learning, after that of the maps'],
  ])('training goes on without graphs where operation %s of a recording fails: %s', async (at) => {
    const args = ['--work_dir', `broken_${at}`];
    const { code, stderr } = await train(args, { HOLLOW_BREAK: at, HOLLOW_LOG: log });
    expect(code, stderr).toBe(0);
    expect(stderr.match(/^.*Training steps run without CUDA graphs.*$/gm)).toEqual([
      expect.stringMatching(/: \w+\(\): (CUDA|cuDNN) error: .+$/),
    ]);
    expect(stderr).not.toContain('Search for');
    expect(place.files(`broken_${at}`)).toContain('checkpoints/wetr_iter_24.pth');
  });

  // Not blank: DDP's buckets travel through the device.
  it('two processes train by NCCL, whose collectives leave each its own values', async () => {
    const args = ['--nproc_per_node', '2', '--work_dir', 'two', '--set', 'train.cuda_graphs=off'];
    const ended = await train(args, { HOLLOW_GPUS: '2', HOLLOW_BLANK: '0', HOLLOW_LOG: log });
    expectWell(ended);
    expect(ended.stderr).toContain('Working in 2 processes (nccl)');
    expect(readFileSync(log, 'utf8')).toMatch(/^COLLECTIVE \d+ all-reduce$/m);
    expect(place.files('two')).toContain('checkpoints/wetr_iter_24.pth');
  });

  describe('a step', () => {
    type Asked = Record<
      'kernels' | 'graphLaunches' | 'waits' | 'captures' | 'faults' | 'reservedPeak',
      number
    > & {
      warnings: string[];
    };
    const steps = async (...args: string[]): Promise<Record<'cls' | 'cam' | 'affinity', Asked>> => {
      const file = fileURLToPath(new URL('hollow/steps.mjs', import.meta.url));
      const env = { ...process.env, ...hollow() };
      const { code, stdout, stderr } = await observe(
        spawn(process.execPath, [file, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] }),
      ).ended;
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout);
    };

    it('never makes the host wait, and with graphs asks for little', async () => {
      const asked = await steps('224', '8', 'graphs');
      for (const [phase, { waits, captures, faults, warnings }] of Object.entries(asked)) {
        // Of 20 steps, the last one's numbers are waited for.
        expect(waits, phase).toBeLessThanOrEqual(1 / 20);
        expect({ captures, faults, warnings }, phase).toEqual({ captures: 0, faults: 0, warnings: [] });
      }
      const launches = Object.values(asked).map((phase) => phase.graphLaunches);
      expect(launches).toEqual([1, 2, 2]); // learning; in the later phases the maps too
      expect(asked.cls.kernels).toBeLessThan(10);
      expect(asked.affinity.kernels).toBeLessThan(120);
    });

    it('never makes the host wait without graphs either, and takes not much less memory', async () => {
      const [asked, withGraphs] = [await steps('512', '8'), await steps('512', '8', 'graphs')];
      for (const [phase, { waits, graphLaunches }] of Object.entries(asked)) {
        expect(waits, phase).toBeLessThanOrEqual(1 / 20);
        expect(graphLaunches, phase).toBe(0);
      }
      expect(asked.affinity.kernels).toBeGreaterThan(1000);
      expect(withGraphs.affinity.graphLaunches).toBe(2);
      expect(withGraphs.affinity.reservedPeak / asked.affinity.reservedPeak).toBeLessThan(1.5);
    });
  });

  it('memory that runs out is said with batch, crop, allocation and what to set next', async () => {
    const { code, stderr } = await train(['--work_dir', 'full', '--crop_size', '320'], {
      HOLLOW_MEMORY: `${300e6}`,
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /Memory of cuda ran out in iteration \d+, with batches of 2 images and crops of 320 x 320/,
    );
    expect(stderr).toMatch(
      /The allocation that failed was of [\d.]+ MiB; of the GPU's 286\.10 MiB, [\d.]+ [KM]iB were free/,
    );
    expect(stderr).toMatch(/Next, try --amp bf16/);
  });

  it.each([
    ['too old', { HOLLOW_CAPABILITY: '61' }, /compute capability 6\.1, and this libtorch was built for/],
    [
      'with a driver too old',
      { HOLLOW_DRIVER: '11080' },
      /driver runs CUDA up to 11\.8.*built for CUDA 1[23]\..*update the driver/,
    ],
    ['that is not there', { HOLLOW_GPUS: '0' }, /no CUDA-capable device is detected/],
  ])('a GPU %s is refused before training', async (_, environment, reason) => {
    const { code, stderr } = await train(['--work_dir', 'refused'], environment);
    expect(code).toBe(2);
    expect(stderr).toMatch(reason);
    expect(existsSync(place.path('refused'))).toBe(false);
  });
});
