import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { WeTr } from '../../src/models/wetr.js';
import { saveWeights } from '../../src/training/checkpoints.js';

const folder = mkdtempSync(join(tmpdir(), 'afa-exit-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('process.exit() during a prediction', () => {
  // Without finishJobs() four in ten crash, with two OpenMP threads more than with one: several moments catch it.
  it.each([40, 60, 80, 100, 120, 140])('ends cleanly after %i ms', (delay) => {
    const checkpoint = join(folder, 'b0.pth');
    using model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
    saveWeights(model, checkpoint);
    const dist = new URL('../../dist/index.js', import.meta.url).href;
    const program = `
      import { Predictor } from '${dist}';
      const predictor = await Predictor.load(${JSON.stringify(checkpoint)}, { device: 'cpu' });
      const image = { data: new Uint8Array(512 * 512), height: 512, width: 512 };
      for (let i = 0; i < 3; i++) predictor.predict(image);
      setTimeout(() => process.exit(7), ${delay});
    `;
    const { status, signal, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', program],
      { encoding: 'utf8', env: { ...process.env, OMP_NUM_THREADS: '2' } },
    );
    expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: '' });
  });
});
