/** A training goes on when what it shows to TensorBoard cannot be written. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { readRun } from '../../src/io/tensorboard/event-file.js';
import { TrainLog } from '../../src/training/log.js';
import { setupLogger } from '../../src/training/logging.js';
import type { StepResult } from '../../src/training/step.js';
import { MINIMAL, yamlFile } from './config-fixtures.js';

const STEP: StepResult = {
  phase: 'cls',
  lr: 1e-4,
  loss: 0.5,
  clsLoss: 0.5,
  segLoss: 0,
  affLoss: 0,
  posCount: 0,
  negCount: 0,
  foreground: 0,
  background: 0,
};

it('warns once and keeps log lines, metrics and what was shown before', async () => {
  const root = mkdtempSync(join(tmpdir(), 'log-board-'));
  const { config } = loadConfig({ file: yamlFile(`${MINIMAL}work_dir:\n  dir: ${root}\n`), dataset: 'lasc' });
  const stream = new PassThrough();
  const log = new TrainLog(setupLogger(undefined, { stream }), join(root, 'metrics.jsonl'));
  log.start(config, { names: ['a'] }, { iteration: 0, seconds: 0 });
  const run = join(root, 'tb_logger', readdirSync(join(root, 'tb_logger'))[0]!);
  await log.step(1, STEP, true);
  // Where the segmentation loss would get its folder.
  writeFileSync(join(run, 'train_loss_seg_loss'), '');
  for (const iteration of [2, 3]) await log.step(iteration, { ...STEP, phase: 'cam' }, true);
  const { board } = log.state();
  await log.stop();
  await log.stop();

  const said = String(stream.read());
  expect(said.match(/WARNING: .*/g)).toEqual([
    expect.stringMatching(
      /^WARNING: Cannot write .*train_loss_seg_loss.*\. Training goes on without TensorBoard\.$/,
    ),
  ]);
  expect(said).toContain('Iter: 3; Elapsed');
  expect(run.endsWith(board!)).toBe(true);
  expect(readRun(run).map(({ step, values }) => [step, values[0]!.tag])).toEqual([
    [0, 'config'],
    [1, 'train/lr'],
  ]);
  rmSync(root, { recursive: true });
});
