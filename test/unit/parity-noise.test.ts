import { expect, it } from 'vitest';
import { WeTr } from '../../src/models/wetr.js';
import { NoiseTracker } from '../../src/parity/rounding-noise.js';

it('lets elements that have no gradient lie within full steps of where they started, and no others', () => {
  const name = 'encoder.block1.0.attn.kv.bias';
  using model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
  const bias = model.parameters().get(name)!;
  const half = bias.numel / 2;
  // A gradient for the values' half of each; the keys' gets zeros.
  for (const [other, parameter] of model.parameters())
    if (other.endsWith('.kv.bias'))
      parameter
        .narrow(0, parameter.numel / 2, parameter.numel / 2)
        .sum()
        .backward();
  const noise = new NoiseTracker(model);
  noise.observe(0.25);
  noise.observe(0.25);

  const after = new Float32Array(2 * half).fill(3, half);
  const determined = half * 3 ** 2;
  // Keys that started at 1 may be anywhere from 0.5 to 1.5; of their change, anything up to 0.5 says nothing.
  const { range, note } = noise.range(name, after, () => 1)!;
  expect(range[0]).toBeCloseTo(Math.sqrt(half * 0.5 ** 2 + determined), 5);
  expect(range[1]).toBeCloseTo(Math.sqrt(half * 1.5 ** 2 + determined), 5);
  expect(note).toContain(`${half} of ${2 * half} elements`);
  const change = noise.range(name, after, () => 0)!.range;
  expect(change[0]).toBeCloseTo(Math.sqrt(determined), 5);
  expect(change[1]).toBeCloseTo(Math.sqrt(half * 0.5 ** 2 + determined), 5);

  expect(noise.range('encoder.block1.0.attn.q.bias', after, () => 0)).toBeUndefined();
});
