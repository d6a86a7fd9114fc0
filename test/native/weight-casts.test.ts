/** Weights of a bf16 model are cast together, by one libtorch operation each way. What it computes: test/unit/amp.test.ts. */
import { afterAll, describe, expect, it } from 'vitest';
import { multiScaleCam } from '../../src/cam/multi-scale.js';
import { WeTr } from '../../src/models/wetr.js';
import { native } from '../../src/native/index.js';
import { noGrad, scope, setupSeed, Tensor } from '../../src/tensor/index.js';

setupSeed(1);
const create = (amp: 'none' | 'bf16') =>
  new WeTr({ backbone: 'mit_b0', numClasses: 2, dropPath: 0, headDropout: 0, embeddingDim: 32, amp }).eval();
const models = { none: create('none'), bf16: create('bf16') };
afterAll(() => {
  for (const model of Object.values(models)) model.dispose();
});

/** How often `body` casts a list of tensors. */
function casts(body: () => void): number {
  native.recordOpsStart(3_000_000, false);
  body();
  const { names, events, dropped } = native.recordOpsStop();
  expect(dropped).toBe(0);
  let count = 0;
  for (let i = 0; i < events.length; i += 5) if (names[events[i]!] === 'aten::_foreach_copy_') count++;
  return count;
}
const images = () => Tensor.randn([1, 3, 64, 64]);
const weight = (model: WeTr) => model.parameters().get('encoder.block1.0.attn.q.weight')!;

describe('casts of weights', () => {
  it.each([
    ['none', 0],
    ['bf16', 1],
  ] as const)(
    'amp %s: %i for a pass without gradients, and for the CAM passes of all scales',
    (amp, expected) =>
      scope(() => {
        const model = models[amp];
        expect(casts(() => noGrad(() => model.forward(images(), { cls: true, seg: true })))).toBe(expected);
        const options = { scales: [1, 0.5, 1.5], affinity: true };
        expect(casts(() => multiScaleCam(model, images(), options))).toBe(expected);
      }),
  );

  it('one forward and one back where gradients are wanted; weights beside the loss get none', () =>
    scope(() => {
      const model = models.bf16;
      let loss: Tensor | undefined;
      expect(
        casts(() => {
          loss = model.forward(images(), { cls: true }).cls!.square().sum();
        }),
      ).toBe(1);
      expect(casts(() => loss!.backward())).toBe(1);
      expect(weight(model).grad?.dtype).toBe('float32');
      expect(model.parameters().get('decoder.linear_pred.weight')!.grad).toBeUndefined();
      for (const parameter of model.parameters().values()) parameter.clearGrad();
    }));

  it('frozen weights stay so: what they alone lead to wants no gradient', () =>
    scope(() => {
      const model = models.bf16;
      const encoder = [...model.parameters()].filter(([name]) => name.startsWith('encoder.'));
      for (const [, parameter] of encoder) parameter.requiresGrad = false;
      const { cls } = model.forward(images(), { cls: true });
      expect(model.forwardFeatures(images()).map((stage) => stage.requiresGrad)).toEqual(
        Array(4).fill(false),
      );
      cls!.sum().backward();
      expect(model.parameters().get('classifier.weight')!.grad).toBeDefined();
      expect(weight(model).grad).toBeUndefined();
      for (const [, parameter] of encoder) parameter.requiresGrad = true;
      for (const parameter of model.parameters().values()) parameter.clearGrad();
    }));
});
