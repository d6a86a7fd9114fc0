/** What the model computes: outputs and their shapes at any size, modes, randomness, where gradients go. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getDownSize } from '../../src/cam/down-size.js';
import { WeTr, type WeTrOptions } from '../../src/models/wetr.js';
import { deterministicState } from '../../src/parity/deterministic-weights.js';
import { memory, noGrad, scope, setupSeed, Tensor } from '../../src/tensor/index.js';
import { caught, expectClose, expectTorchError, numbers } from '../native/support.js';

const models: WeTr[] = [];
/** mit_b0 with the fixtures' weights, freed at the end. */
function create(options: Partial<WeTrOptions> = {}): WeTr {
  const model = new WeTr({ backbone: 'mit_b0', numClasses: 3, ...options });
  model.loadStateDict(deterministicState(model.state()));
  models.push(model);
  return model;
}
let model: WeTr;
beforeAll(() => {
  model = create().eval();
});
afterAll(() => {
  for (const m of models) m.dispose();
});

const run = (name: string, body: () => void) => it(name, () => scope(body));
const images = (batch: number, height: number, width: number) => {
  setupSeed(batch * 1000 + height + width);
  return Tensor.randn([batch, 3, height, width]);
};
const ALL = { cls: true, seg: true, affinity: true, attention: true } as const;

describe('sizes', () => {
  // A convolution of kernel k, stride s and padding floor(k / 2) gives ceil(n / s) rows of n.
  it.each([
    [64, 64],
    [65, 64],
    [97, 131],
    [112, 112],
    [100, 75],
    [128, 96],
  ])('%i x %i gives the grids of ceil(side / stride)', (height, width) =>
    scope(() => {
      const input = images(2, height, width);
      const out = noGrad(() => model.forward(input, ALL));
      const at = (stride: number) => getDownSize([height, width], stride);
      const n = at(16)[0] * at(16)[1];
      expect(out.cls!.shape).toEqual([2, 2]);
      expect(out.seg!.shape).toEqual([2, 3, ...at(4)]);
      expect(out.affinity!.shape).toEqual([2, n, n]);
      const features = noGrad(() => model.forwardFeatures(input));
      expect(features.map((f) => f.shape)).toEqual([
        [2, 32, ...at(4)],
        [2, 64, ...at(8)],
        [2, 160, ...at(16)],
        [2, 256, ...at(16)],
      ]);
      // Stage i: heads, and the grid that keys are reduced to by 8, 4, 2 and 1.
      const stages = [4, 8, 16, 16].map((stride, i) => {
        const [h, w] = at(stride).map((side) => Math.floor(side / [8, 4, 2, 1][i]!)) as [number, number];
        return [2, [1, 2, 5, 8][i], h * w, h * w];
      });
      expect(out.attention!.map((a) => a.shape)).toEqual(stages.flatMap((s) => [s, s]));
      expect(model.forwardCam(input).shape).toEqual([2, 2, ...at(16)]);
      for (const tensor of [out.cls!, out.seg!, out.affinity!, ...out.attention!])
        expect(tensor.isfinite().all()).toBe(true);
    }),
  );

  run('stride [4, 2, 2, 2] gives a total stride of 32', () => {
    const coarse = create({ stride: [4, 2, 2, 2] }).eval();
    expect(noGrad(() => coarse.forwardFeatures(images(1, 96, 64))[3]!.shape)).toEqual([1, 256, 3, 2]);
  });

  it.each<[string, () => Tensor, RegExp]>([
    [
      'one channel',
      () => Tensor.zeros([1, 1, 64, 64]),
      /Expected images of shape \[B, 3, H, W\] but received \[1, 1, 64, 64\]/,
    ],
    [
      'no batch',
      () => Tensor.zeros([3, 64, 64]),
      /Expected images of shape \[B, 3, H, W\] but received \[3, 64, 64\]/,
    ],
    ['sides below 32', () => Tensor.zeros([1, 3, 16, 16]), /Kernel size/],
    ['another dtype', () => Tensor.zeros([1, 3, 64, 64], 'float64'), /[Ii]nput type \(double\)/],
  ])('%s is refused', (_, input, message) =>
    scope(() =>
      expectTorchError(
        caught(() => model.forward(input())),
        { code: 'ERR_TORCH', op: 'wetrForward', message },
      ),
    ),
  );
});

describe('outputs', () => {
  run('are those asked for, and no other', () => {
    const input = images(1, 64, 64);
    expect(Object.keys(model.forward(input)).sort()).toEqual(['affinity', 'cls', 'seg']);
    expect(Object.keys(model.forward(input, { cls: true }))).toEqual(['cls']);
    expect(Object.keys(model.forward(input, { attention: true }))).toEqual(['attention']);
    expect(model.forward(input, {})).toEqual({});
    const before = memory().liveTensors;
    model.forward(input, { seg: true });
    expect(memory().liveTensors).toBe(before + 1);
  });

  run('do not depend on what else is asked for', () => {
    const input = images(1, 64, 64);
    const all = noGrad(() => model.forward(input, ALL));
    for (const key of ['cls', 'seg', 'affinity'] as const)
      expectClose(
        numbers(noGrad(() => model.forward(input, { [key]: true }))[key]!),
        numbers(all[key]!),
        1e-6,
      );
  });

  run('of a batch are those of its images alone', () => {
    const input = images(3, 64, 80);
    const whole = noGrad(() => model.forward(input, ALL));
    for (let i = 0; i < 3; i++) {
      const alone = noGrad(() => model.forward(input.narrow(0, i, 1), ALL));
      for (const key of ['cls', 'seg', 'affinity'] as const)
        expectClose(numbers(whole[key]!.narrow(0, i, 1)), numbers(alone[key]!), 2e-5);
    }
  });

  it.each(['gmp', 'gap'] as const)('class logits are the classifier on %s features', (pooling) =>
    scope(() => {
      const pooled = create({ pooling }).eval();
      const input = images(2, 64, 96);
      const [, , , last] = noGrad(() => pooled.forwardFeatures(input)) as [Tensor, Tensor, Tensor, Tensor];
      const vector = pooling === 'gmp' ? last.amax([2, 3]) : last.mean([2, 3]);
      const weight = pooled.parameters().get('classifier.weight')!;
      const expected = noGrad(() => vector.linear(weight.reshape(2, 256)));
      expectClose(numbers(pooled.forward(input, { cls: true }).cls!), numbers(expected), 1e-5);
      // The CAM is the same classifier on every position.
      const cam = noGrad(() => last.conv2d(weight));
      expectClose(numbers(pooled.forwardCam(input)), numbers(cam), 1e-5);
    }),
  );

  run('affinity is symmetric and lies between 0 and 1 (reached where float32 rounds to it)', () => {
    const { affinity } = noGrad(() => model.forward(images(1, 97, 64), { affinity: true }));
    expect(affinity!.allclose(affinity!.transpose(1, 2), 0, 1e-6)).toBe(true);
    expect(affinity!.ge(0).all() && affinity!.le(1).all()).toBe(true);
    expect(affinity!.gt(0.01).logicalAnd(affinity!.lt(0.99)).any()).toBe(true);
  });

  run('affinity is the projection of the last two blocks’ attention logits', () => {
    const { affinity, attention } = noGrad(() => model.forward(images(1, 64, 64), ALL));
    const stacked = Tensor.cat(attention!.slice(-2), 1);
    const [weight, bias] = ['weight', 'bias'].map((n) => model.parameters().get(`attn_proj.${n}`)!);
    const expected = noGrad(() =>
      stacked.add(stacked.transpose(2, 3)).conv2d(weight!, { bias }).sigmoid().squeeze(1),
    );
    expectClose(numbers(affinity!), numbers(expected), 1e-5);
  });
});

describe('modes', () => {
  const BN = 'decoder.linear_fuse.bn.';
  const statistics = (m: WeTr) =>
    ['running_mean', 'running_var'].flatMap((n) => numbers(m.state().get(BN + n)!));
  const tracked = (m: WeTr) => m.state().get(`${BN}num_batches_tracked`)!.item();
  const seg = (m: WeTr, input: Tensor) => noGrad(() => numbers(m.forward(input, { seg: true }).seg!));
  const cls = (m: WeTr, input: Tensor) => noGrad(() => numbers(m.forward(input, { cls: true }).cls!));

  run('a model starts in training mode; train() and eval() switch and return it', () => {
    const fresh = create();
    expect(fresh.training).toBe(true);
    expect(fresh.eval()).toBe(fresh);
    expect(fresh.training).toBe(false);
    expect(fresh.train().training).toBe(true);
    expect(fresh.train(false).training).toBe(false);
  });

  run('BatchNorm follows batches while training, and only for a segmentation', () => {
    const m = create({ dropPath: 0, headDropout: 0 });
    const input = images(2, 64, 64);
    const start = statistics(m);
    cls(m, input);
    m.forwardCam(input);
    expect([statistics(m), tracked(m)]).toEqual([start, 0]);
    seg(m, input);
    expect(statistics(m)).not.toEqual(start);
    expect(tracked(m)).toBe(1);
    const moved = statistics(m.eval());
    seg(m, input);
    expect([statistics(m), tracked(m)]).toEqual([moved, 1]);
  });

  run('eval repeats itself exactly, and so does training without any dropping', () => {
    const input = images(2, 64, 64);
    expect(seg(model, input)).toEqual(seg(model, input));
    const m = create({ dropPath: 0, headDropout: 0 });
    expect(seg(m, input)).toEqual(seg(m, input));
    expectClose(cls(m, input), cls(model, input), 1e-6);
  });

  run('drop path draws for each image while training, none in eval', () => {
    const m = create({ dropPath: 0.6, headDropout: 0 });
    const twins = images(1, 64, 64).repeat(8, 1, 1, 1);
    setupSeed(1);
    const first = cls(m, twins);
    const rows = (values: number[]) =>
      Array.from({ length: 8 }, (_, i) => values.slice(2 * i, 2 * i + 2).join());
    expect(new Set(rows(first)).size).toBeGreaterThan(1);
    expect(cls(m, twins)).not.toEqual(first);
    setupSeed(1);
    expect(cls(m, twins)).toEqual(first);
    m.eval();
    const still = cls(m, twins);
    expectClose(still, cls(model, twins), 1e-6);
    expect(cls(m, twins)).toEqual(still);
  });

  run('head dropout drops whole channels of the segmentation alone', () => {
    const m = create({ dropPath: 0, headDropout: 0.5 });
    const input = images(2, 64, 64);
    expect(cls(m, input)).toEqual(cls(m, input));
    expect(seg(m, input)).not.toEqual(seg(m, input));
    m.eval();
    expect(seg(m, input)).toEqual(seg(m, input));
  });

  run('all channels dropped leave the bias of the prediction', () => {
    const m = create({ dropPath: 0, headDropout: 1 });
    const bias = numbers(m.parameters().get('decoder.linear_pred.bias')!);
    const out = seg(m, images(1, 64, 64));
    expectClose(
      out,
      bias.flatMap((b) => new Array(256).fill(b)),
      1e-6,
    );
  });
});

describe('gradients', () => {
  const gradients = (wanted: Parameters<WeTr['forward']>[1], output: 'cls' | 'seg' | 'affinity') => {
    const m = create({ dropPath: 0, headDropout: 0 }).eval();
    m.forward(images(1, 64, 64), wanted)
      [output]!.square()
      .sum()
      .backward();
    return new Set([...m.parameters()].filter(([, p]) => p.grad?.any()).map(([name]) => name));
  };
  const count = (names: Set<string>, prefix: string) => [...names].filter((n) => n.startsWith(prefix)).length;
  const named = (prefix: string) => [...model.parameters().keys()].filter((n) => n.startsWith(prefix)).length;

  run('of the segmentation reach encoder and decoder', () => {
    const reached = gradients({ seg: true }, 'seg');
    expect(count(reached, 'decoder.')).toBe(named('decoder.'));
    expect(count(reached, 'encoder.')).toBeGreaterThan(0.9 * named('encoder.'));
    expect(count(reached, 'classifier.') + count(reached, 'attn_proj.')).toBe(0);
  });

  run('of the segmentation stop at the decoder with segDetach', () => {
    const reached = gradients({ seg: true, segDetach: true }, 'seg');
    expect(count(reached, 'decoder.')).toBe(named('decoder.'));
    expect(count(reached, 'encoder.')).toBe(0);
  });

  run('segDetach does not change the segmentation, nor the other outputs’ gradients', () => {
    const input = images(1, 64, 64);
    const detached = noGrad(() => model.forward(input, { seg: true, segDetach: true }).seg!);
    expect(numbers(detached)).toEqual(numbers(noGrad(() => model.forward(input, { seg: true }).seg!)));
    const reached = gradients({ cls: true, seg: true, segDetach: true }, 'cls');
    expect(count(reached, 'encoder.')).toBeGreaterThan(0.9 * named('encoder.'));
  });

  run('of classes and affinity leave the decoder alone', () => {
    for (const output of ['cls', 'affinity'] as const) {
      const reached = gradients({ [output]: true }, output);
      expect(count(reached, 'decoder.')).toBe(0);
      expect(count(reached, 'encoder.patch_embed1.')).toBeGreaterThan(0);
    }
  });

  run('do not flow out of CAMs', () => {
    const cam = model.forwardCam(images(1, 64, 64));
    expect(cam.requiresGrad).toBe(false);
  });

  run('are not recorded under noGrad', () => {
    const out = noGrad(() => model.forward(images(1, 64, 64)));
    expect([out.cls!, out.seg!, out.affinity!].map((t) => t.requiresGrad)).toEqual([false, false, false]);
    expect(model.forward(images(1, 64, 64), { cls: true }).cls!.requiresGrad).toBe(true);
  });
});
