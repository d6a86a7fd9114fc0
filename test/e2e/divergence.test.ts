/** Losses that are not finite: stopped with the batch's names, or skipped without a trace in the weights. */
import { expect, it } from 'vitest';
import { readStateDict } from '../../src/io/checkpoint.js';
import { writeNpy } from '../../src/io/npy.js';
import { Workplace } from './workplace.js';

const BAD = 'LASC_002_03_1';

/** One slice of values so large that the network's sums overflow; every slice is seen once. */
function overflowing(settings: Record<string, unknown>) {
  const place = new Workplace().phantom();
  const data = Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 7) * 5e37);
  writeNpy(place.path('data/imageSlice', `${BAD}.npy`), { dtype: 'float32', shape: [64, 64], data });
  const shared = { 'train.max_iters': 9, 'train.cam_iters': 0, 'train.aff_label_switch_iter': 4 };
  return { place, config: place.config({ ...shared, ...settings }) };
}

it('stops, by default, and names the batch', async () => {
  const { place, config } = overflowing({});
  const { code, stderr, stdout } = await place.train('--config', config);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  const found =
    /Error: The loss of iteration (\d) is NaN; its batch is named in work\/non_finite_batch\.json/.exec(
      stderr,
    );
  expect(found, stderr).not.toBeNull();
  expect(stderr).toContain('Lower optimizer.learning_rate, or set train.non_finite: skip');
  expect(stderr).toMatch(
    new RegExp(`WARNING: data/imageSlice/${BAD}\\.npy holds values from 0 to 3\\.0+\\d*e\\+38`),
  );
  const { iteration, nonFinite, loss, names } = place.json('work', 'non_finite_batch.json');
  expect({ iteration, nonFinite, loss }).toEqual({
    iteration: Number(found![1]),
    nonFinite: 'loss',
    loss: 'NaN',
  });
  expect(names).toHaveLength(2);
  expect(names).toContain(BAD);
});

it('skips that step alone when told to: weights and batch-norm statistics stay sound', async () => {
  const { place, config } = overflowing({ 'train.non_finite': 'skip' });
  const { code, stderr } = await place.train('--config', config);
  expect(code, stderr).toBe(0);
  const [skipped, ...more] = [
    ...stderr.matchAll(/WARNING: Iter: (\d); loss NaN is not finite: step skipped/g),
  ];
  expect(more).toEqual([]);
  const iteration = Number(skipped![1]);
  // In a phase whose forward pass moves batch-norm statistics, or this would prove little.
  expect(iteration).toBeGreaterThan(1);
  expect(place.json('work', 'summary.json').skippedSteps).toBe(1);
  // No mean of no steps: null, not 0.
  const lines = place.metrics().filter(({ kind }) => kind === 'train');
  expect(lines.filter(({ loss }) => loss === null).map((line) => line.iteration)).toEqual([iteration]);
  for (const [name, { dtype, data }] of readStateDict(place.path('work/checkpoints/wetr_iter_9.pth'))) {
    if (dtype !== 'float32') continue;
    const values = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    expect(values.every(Number.isFinite), name).toBe(true);
  }
});

it('stops when validation shows that the weights themselves are lost, and overwrites no last.pth', async () => {
  const place = new Workplace().phantom();
  const config = place.config({ 'train.non_finite': 'skip', 'optimizer.learning_rate': 1e30 });
  const { code, stderr, stdout } = await place.train('--config', config);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(
    'Error: The validation loss of iteration 4 is NaN: the weights are no longer finite.',
  );
  expect(stderr).not.toContain('go on with --resume');
  expect(place.files('work', 'checkpoints')).toEqual(['wetr_iter_4.pth']);
});
