/** State dicts of the model: in, out, and refused. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StateDictMismatch } from '../../src/models/state-dict.js';
import { WeTr } from '../../src/models/wetr.js';
import { deterministicState } from '../../src/parity/deterministic-weights.js';
import { memory, type RawTensor, scope, setupSeed, Tensor } from '../../src/tensor/index.js';

let model: WeTr;
beforeAll(() => {
  setupSeed(0);
  model = new WeTr({ backbone: 'mit_b0', numClasses: 3 });
});
afterAll(() => model.dispose());

const zeros = (shape: number[]): RawTensor => ({
  dtype: 'float32',
  shape,
  data: new Uint8Array(4 * shape.reduce((n, d) => n * d, 1)),
});

/** Every entry's name, form and content in few characters. */
const fingerprint = (state: ReadonlyMap<string, RawTensor>) =>
  [...state].map(([name, { dtype, shape, data }]) => {
    const hash = createHash('sha1').update(data).digest('hex');
    return `${name} ${dtype} [${shape}] ${hash}`;
  });

function mismatch(state: Map<string, RawTensor>): StateDictMismatch {
  const before = fingerprint(model.stateDict());
  try {
    model.loadStateDict(state, 'best.pth');
  } catch (error) {
    expect(error).toBeInstanceOf(StateDictMismatch);
    // All or nothing: no entry changed.
    expect(fingerprint(model.stateDict())).toEqual(before);
    return error as StateDictMismatch;
  }
  return expect.fail('Expected a StateDictMismatch');
}

describe('round trip', () => {
  it('what one model gives, another takes, bit for bit', () => {
    using other = new WeTr({ backbone: 'mit_b0', numClasses: 3 });
    const state = model.stateDict();
    expect(fingerprint(other.stateDict())).not.toEqual(fingerprint(state));
    other.loadStateDict(state);
    expect(fingerprint(other.stateDict())).toEqual(fingerprint(state));
    expect([...state.keys()]).toEqual([...model.state().keys()]);
  });

  it('is a copy: changing it does not change the model', () => {
    const state = model.stateDict();
    state.get('classifier.weight')!.data.fill(0);
    expect(model.state().get('classifier.weight')!.any()).toBe(true);
  });

  it('reaches the computation', () => {
    using other = new WeTr({ backbone: 'mit_b0', numClasses: 3 }).eval();
    other.loadStateDict(deterministicState(other.state()));
    scope(() => {
      const image = Tensor.ones([1, 3, 64, 64]);
      const before = other.forward(image, { cls: true }).cls!.toFloat32();
      const state = other.stateDict();
      const weight = state.get('classifier.weight')!;
      state.set('classifier.weight', zeros(weight.shape));
      other.loadStateDict(state);
      expect([...before].every((v) => v !== 0)).toBe(true);
      expect([...other.forward(image, { cls: true }).cls!.toFloat32()]).toEqual([0, 0]);
    });
  });

  it('converts half-precision weights, and leaves no tensor behind', () => {
    const state = model.stateDict();
    const before = memory();
    const bias = state.get('attn_proj.bias')!;
    state.set('attn_proj.bias', { ...bias, dtype: 'float16', data: new Uint8Array([0x00, 0x3e]) }); // 1.5
    model.loadStateDict(state);
    expect(model.state().get('attn_proj.bias')!.item()).toBe(1.5);
    expect(model.state().get('attn_proj.bias')!.dtype).toBe('float32');
    expect(memory()).toEqual(before);
  });

  it('leaves parameters trainable', () => {
    model.loadStateDict(model.stateDict());
    for (const parameter of model.parameters().values()) expect(parameter.requiresGrad).toBe(true);
  });
});

describe('a state dict that does not fit', () => {
  it('lists what is missing, unexpected and of another shape', () => {
    const state = model.stateDict();
    state.delete('classifier.weight');
    state.set('head.weight', zeros([1]));
    state.set('attn_proj.bias', zeros([2]));
    const error = mismatch(state);
    expect(error.missing).toEqual(['classifier.weight']);
    expect(error.unexpected).toEqual(['head.weight']);
    expect(error.misshaped).toEqual(['attn_proj.bias: expected [1] but received [2]']);
    expect(error.exitCode).toBe(2);
    expect(error.message.split('\n')).toEqual([
      'best.pth does not fit this model:',
      '  missing (1):',
      '    classifier.weight',
      '  unexpected (1):',
      '    head.weight',
      '  of another shape (1):',
      '    attn_proj.bias: expected [1] but received [2]',
      '  Check backbone.config, backbone.stride and dataset.num_classes against the training run.',
    ]);
  });

  it('of another backbone is summed up, not listed in full', () => {
    using larger = new WeTr({ backbone: 'mit_b1', numClasses: 3 });
    const error = mismatch(larger.stateDict());
    expect([error.missing, error.unexpected]).toEqual([[], []]);
    expect(error.misshaped.length).toBeGreaterThan(100);
    expect(error.message).toContain(`and ${error.misshaped.length - 8} more`);
    expect(error.message.split('\n').length).toBeLessThan(15);
  });

  it('of another class count names the two layers', () => {
    using binary = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
    expect(mismatch(binary.stateDict()).misshaped).toEqual([
      'decoder.linear_pred.weight: expected [3, 256, 1, 1] but received [2, 256, 1, 1]',
      'decoder.linear_pred.bias: expected [3] but received [2]',
      'classifier.weight: expected [2, 256, 1, 1] but received [1, 256, 1, 1]',
    ]);
  });

  it('may be empty', () => {
    expect(mismatch(new Map()).missing).toHaveLength(195);
  });
});
