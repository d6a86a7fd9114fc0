/** Gradients by formula, where they are kept, and how recording is switched off. */
import { afterEach, describe, expect, it } from 'vitest';
import { native } from '../../src/native/index.js';
import { noGrad, scope, Tensor } from '../../src/tensor/index.js';
import { caught, expectTorchError, numbers } from './support.js';

const run = (name: string, body: () => void) => it(name, () => scope(body));
const leaf = (...values: number[]) => Object.assign(Tensor.from(values), { requiresGrad: true });

describe('backward', () => {
  run('gives d(x² y)/dx = 2 x y and d/dy = x²', () => {
    const [x, y] = [leaf(3, -1), leaf(2, 5)];
    x.square().mul(y).sum().backward();
    expect(numbers(x.grad!)).toEqual([12, -10]);
    expect(numbers(y.grad!)).toEqual([9, 1]);
  });

  run('adds to gradients that are there, until they are cleared', () => {
    const x = leaf(2);
    for (const expected of [3, 6]) {
      x.mul(3).backward();
      expect(numbers(x.grad!)).toEqual([expected]);
    }
    x.clearGrad();
    expect(x.grad).toBeUndefined();
    x.mul(4).backward();
    expect(numbers(x.grad!)).toEqual([4]);
  });

  run('starts from a gradient where the output is not a scalar', () => {
    const x = leaf(1, 2, 3);
    x.square().backward(Tensor.from([1, 0, -1]));
    expect(numbers(x.grad!)).toEqual([2, 0, -6]);
  });

  run('reaches a tensor used twice, and through views', () => {
    const x = leaf(1, 2, 3, 4);
    const square = x.reshape(2, 2);
    square.matmul(square).sum().backward();
    // d/dX of the sum of X X is 1 Xᵀ + Xᵀ 1 (1: all ones): row sums of Xᵀ above column sums.
    expect(numbers(x.grad!)).toEqual([3 + 4, 7 + 4, 3 + 6, 7 + 6]);
  });

  run('stops at detach, whose tensor shares memory', () => {
    const x = leaf(2);
    const cut = x.detach();
    expect(cut.requiresGrad).toBe(false);
    x.mul(cut).backward();
    expect(numbers(x.grad!)).toEqual([2]);
    cut.fill_(7);
    expect(numbers(x)).toEqual([7]);
  });

  run('gives equal elements of a maximum equal shares', () => {
    const x = leaf(3, 3);
    x.amax().backward();
    expect(numbers(x.grad!)).toEqual([0.5, 0.5]);
  });

  it.each<[string, () => unknown, string, RegExp]>([
    [
      'a tensor that no parameter is behind',
      () => Tensor.from([1]).backward(),
      'ERR_INVALID_ARG',
      /^backward\(\) needs a tensor that depends on a parameter with requiresGrad; this one does not$/,
    ],
    ['several numbers without a gradient', () => leaf(1, 2).mul(2).backward(), 'ERR_TORCH', /scalar outputs/],
    [
      'a gradient of another shape',
      () =>
        leaf(1, 2)
          .mul(2)
          .backward(Tensor.zeros([3])),
      'ERR_TORCH',
      /got \[3\] but expected shape compatible with \[2\]/,
    ],
  ])('refuses %s', (_, call, code, message) =>
    scope(() => expectTorchError(caught(call), { code, op: 'backward', message })),
  );

  run('refuses a second pass through a freed graph', () => {
    const y = leaf(2).square();
    y.backward();
    expectTorchError(
      caught(() => y.backward()),
      { code: 'ERR_TORCH', op: 'backward', message: /second time/ },
    );
  });
});

describe('requiresGrad', () => {
  run('passes on to results, and no more once it is off', () => {
    const x = leaf(1);
    const y = x.mul(2);
    expect([x.requiresGrad, y.requiresGrad, Tensor.zeros([1]).requiresGrad]).toEqual([true, true, false]);
    x.requiresGrad = false;
    expect(x.mul(2).requiresGrad).toBe(false);
  });

  run('protects leaves from changes in place outside noGrad', () => {
    const x = leaf(1);
    const error = caught(() => x.add_(1));
    expectTorchError(error, { code: 'ERR_TORCH', op: 'add_', message: /leaf Variable/ });
    noGrad(() => x.add_(1));
    expect(numbers(x)).toEqual([2]);
    expect(x.requiresGrad).toBe(true);
  });

  run('a change in place of what backward needs is noticed', () => {
    const x = leaf(2);
    const y = x.mul(1);
    const z = y.square();
    y.add_(1);
    const error = caught(() => z.backward());
    expectTorchError(error, {
      code: 'ERR_TORCH',
      op: 'backward',
      message: /modified by an inplace operation/,
    });
  });
});

describe('noGrad', () => {
  afterEach(() => expect(native.isGradEnabled(), 'recording is on again').toBe(true));

  run('records nothing inside, again outside, also when nested', () => {
    const x = leaf(1);
    const inside = noGrad(() => {
      const inner = noGrad(() => x.mul(2).requiresGrad);
      return [inner, x.mul(2).requiresGrad];
    });
    expect(inside).toEqual([false, false]);
    expect(x.mul(2).requiresGrad).toBe(true);
  });

  run('ends when the body throws', () => {
    expect(() =>
      noGrad(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(() => noGrad(() => Tensor.zeros([1]).reshape(2))).toThrow('reshape()');
    expect(leaf(1).mul(2).requiresGrad).toBe(true);
  });

  run('returns what the body returns', () => {
    expect(noGrad(() => 5)).toBe(5);
    expect(() => noGrad(async () => 5)).toThrow(/^Expected a synchronous function for noGrad\(\)/);
  });
});
