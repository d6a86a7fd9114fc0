/** Names, counts, groups and first values of the model's parameters. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backboneNames, getBackbone } from '../../src/models/backbones.js';
import { WeTr, type WeTrOptions } from '../../src/models/wetr.js';
import { memory, scope, setupSeed, type Tensor } from '../../src/tensor/index.js';

let before: number;
beforeEach(() => {
  before = memory().liveTensors;
});
afterEach(() => expect(memory().liveTensors).toBe(before));

/** Runs `body` with a model that is freed after it. */
function withModel<T>(options: Partial<WeTrOptions>, body: (model: WeTr) => T): T {
  using model = new WeTr({ backbone: 'mit_b0', numClasses: 2, ...options });
  return body(model);
}

/** Names of all parameters as the original's own run wrote them (keys of grad_l2, in named_parameters order). */
function fixtureNames(fixture: string): string[] {
  const url = new URL(`../fixtures/model/${fixture}.json`, import.meta.url);
  return Object.keys(JSON.parse(readFileSync(url, 'utf8')).grad_l2);
}

const size = (tensors: Iterable<Tensor>) => [...tensors].reduce((sum, t) => sum + t.numel, 0);

describe('names', () => {
  it.each([
    ['mit_b0', 'local_b0_192', 2, 192],
    ['mit_b1', 'binary_b1_128', 2, 192],
    ['mit_b2', 'gap_b2_64', 3, 348],
  ])('of %s are PyTorch’s, in its order', (backbone, fixture, numClasses, count) => {
    const expected = fixtureNames(fixture);
    expect(expected).toHaveLength(count);
    withModel({ backbone, numClasses }, (model) => expect([...model.parameters().keys()]).toEqual(expected));
  });

  // SegFormer paper, table 6 (depths); block entries as b2 has them. Sizes: its table 1, encoder, millions.
  it.each<[string, number[], number]>([
    ['mit_b3', [3, 4, 18, 3], 44.0],
    ['mit_b4', [3, 8, 27, 3], 60.8],
    ['mit_b5', [3, 6, 40, 3], 81.4],
  ])('of %s follow from its depths, and its size is the paper’s', (backbone, depths, millions) => {
    const template = fixtureNames('gap_b2_64');
    const expected: string[] = [];
    for (const name of template) {
      const match = /^encoder\.block(\d)\.(\d+)\.(.*)$/.exec(name);
      if (!match) expected.push(name);
      else if (match[2] === '0' && match[3] === 'norm1.weight')
        for (let j = 0; j < depths[Number(match[1]) - 1]!; j++)
          for (const entry of template.filter((n) => n.startsWith(`encoder.block${match[1]}.0.`)))
            expected.push(entry.replace(/^(encoder\.block\d)\.0\./, `$1.${j}.`));
    }
    withModel({ backbone }, (model) => {
      expect([...model.parameters().keys()]).toEqual(expected);
      const encoder = [...model.parameters()].filter(([name]) => name.startsWith('encoder.'));
      expect(Math.abs(size(encoder.map(([, t]) => t)) / 1e6 - millions)).toBeLessThan(0.1);
    });
  });

  it('state holds the head’s BatchNorm buffers after its parameters, as PyTorch lists them', () =>
    withModel({}, (model) => {
      const names = [...model.state().keys()];
      const norm = 'decoder.linear_fuse.bn.';
      const at = names.indexOf(`${norm}weight`);
      expect(names.slice(at, at + 5)).toEqual(
        ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'].map((n) => norm + n),
      );
      expect(names.filter((name) => !model.parameters().has(name))).toHaveLength(3);
      expect(model.state().get(`${norm}num_batches_tracked`)!.dtype).toBe('int64');
    }));

  it('an unknown backbone is refused with those there are', () => {
    expect(backboneNames()).toEqual(['mit_b0', 'mit_b1', 'mit_b2', 'mit_b3', 'mit_b4', 'mit_b5']);
    expect(() => new WeTr({ backbone: 'resnet', numClasses: 2 })).toThrow(
      new RangeError(
        "Expected a backbone (mit_b0, mit_b1, mit_b2, mit_b3, mit_b4, mit_b5) but received 'resnet'",
      ),
    );
    expect(getBackbone('mit_b1').embedDims).toEqual([64, 128, 320, 512]);
  });
});

describe('shapes follow the options', () => {
  it.each([
    ['classes', { numClasses: 6 }, 'classifier.weight', [5, 256, 1, 1]],
    ['classes of the head', { numClasses: 6 }, 'decoder.linear_pred.weight', [6, 256, 1, 1]],
    ['head width', { embeddingDim: 32 }, 'decoder.linear_fuse.conv.weight', [32, 128, 1, 1]],
    ['backbone', { backbone: 'mit_b1' }, 'encoder.block4.1.attn.kv.weight', [1024, 512]],
    ['affinity projection: eight heads of two blocks', {}, 'attn_proj.weight', [1, 16, 1, 1]],
  ])('%s', (_, options, name, shape) =>
    withModel(options, (model) => expect(model.parameters().get(name)!.shape).toEqual(shape)),
  );
});

describe('parameter groups', () => {
  it('are the original’s four and hold every parameter once', () =>
    withModel({ backbone: 'mit_b1' }, (model) => {
      const groups = model.parameterGroups();
      const names = fixtureNames('binary_b1_128');
      const of = (keep: (name: string) => boolean) =>
        names.filter(keep).map((name) => model.parameters().get(name)!);
      const encoder = (name: string) => name.startsWith('encoder.');
      expect(groups.backbone).toEqual(of((n) => encoder(n) && !n.includes('norm')));
      expect(groups.backboneNorm).toEqual(of((n) => encoder(n) && n.includes('norm')));
      expect(groups.classifier).toEqual(of((n) => /^(attn_proj|classifier)\./.test(n)));
      expect(groups.decoder).toEqual(of((n) => n.startsWith('decoder.')));
      expect(new Set(Object.values(groups).flat()).size).toBe(192);
      expect(groups.classifier).toHaveLength(3);
      expect(groups.decoder).toHaveLength(13);
    }));
});

/** First values, as the reference notes state them ("What these numbers do not pin down"). */
describe('first values', () => {
  const std = (tensor: Tensor) => {
    const values = tensor.toFloat32();
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
  };
  const constant = (tensor: Tensor) => [...new Set(tensor.toFloat32())];

  it('are drawn as the original draws them', () => {
    setupSeed(3);
    withModel({ backbone: 'mit_b1', numClasses: 21 }, (model) =>
      scope(() => {
        for (const [name, tensor] of model.parameters()) {
          const [out, ...rest] = tensor.shape as [number, ...number[]];
          const fanIn = rest.reduce((n, d) => n * d, 1);
          // Relative standard error of a standard deviation of n draws: 1 / sqrt(2 n); five of them.
          const tolerance = 5 / Math.sqrt(2 * tensor.numel);
          const expectStd = (expected: number) =>
            expect(Math.abs(std(tensor) / expected - 1), name).toBeLessThan(tolerance);
          if (/norm\d?\.weight$|bn\.weight$/.test(name)) expect(constant(tensor), name).toEqual([1]);
          else if (/norm\d?\.bias$|bn\.bias$/.test(name)) expect(constant(tensor), name).toEqual([0]);
          else if (name.startsWith('encoder.') && name.endsWith('.bias'))
            expect(constant(tensor), name).toEqual([0]);
          else if (name.startsWith('encoder.') && tensor.shape.length === 2) expectStd(0.02);
          else if (name.startsWith('encoder.')) {
            const groups = name.includes('dwconv') ? out : 1;
            expectStd(Math.sqrt(2 / ((rest[1]! * rest[2]! * out) / groups)));
          } else if (name === 'attn_proj.weight') {
            // Kaiming normal, fan_out 1, a = sqrt(5): gain sqrt(2 / 6). 16 draws bound the deviation only.
            expect(std(tensor)).toBeGreaterThan(0.2);
            expect(std(tensor)).toBeLessThan(1);
          } else if (
            /^decoder\.linear_c\d\.proj\.weight$|^classifier\.weight$|linear_pred\.weight$/.test(name)
          ) {
            // Kaiming uniform with a = sqrt(5) is U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default.
            const bound = 1 / Math.sqrt(fanIn);
            const largest = tensor.abs().amax().item();
            expect(largest, name).toBeLessThanOrEqual(bound);
            expect(largest, name).toBeGreaterThan(0.99 * bound);
          }
        }
      }),
    );
  });

  it('follow the seed', () => {
    const weights = (seed: number) => {
      setupSeed(seed);
      return withModel({}, (model) => model.parameters().get('encoder.block1.0.attn.q.weight')!.toFloat32());
    };
    expect(weights(1)).toEqual(weights(1));
    expect(weights(1)).not.toEqual(weights(2));
  });
});

describe('lifetime', () => {
  it('dispose() frees everything, twice is once, and later use is refused by name', () => {
    const model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
    model.dispose();
    model.dispose();
    expect(memory().liveTensors).toBe(before);
    expect(() => model.train()).toThrow(/WeTr model passed to wetrTrain\(\) was already disposed/);
    expect(() => model.stateDict()).toThrow(/already disposed/);
  });
});
