/** Views, copies and indexing of [[0, 1, 2], [3, 4, 5]] and its like, by hand. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectShape, scope, Tensor } from '../../src/tensor/index.js';
import { caught, facts, numbers } from './support.js';

const run = (name: string, body: () => void) => it(name, () => scope(body));
const count = (shape: readonly number[]) =>
  Tensor.arange(
    0,
    shape.reduce((n, d) => n * d, 1),
  ).reshape(...shape);
const index = (...values: number[]) => Tensor.from(BigInt64Array.from(values, BigInt));

describe('shape operations', () => {
  it.each<[string, (x: Tensor) => Tensor, number[], number[]]>([
    ['reshape(3, 2)', (x) => x.reshape(3, 2), [3, 2], [0, 1, 2, 3, 4, 5]],
    ['reshape(-1)', (x) => x.reshape(-1), [6], [0, 1, 2, 3, 4, 5]],
    ['view(3, -1)', (x) => x.view(3, -1), [3, 2], [0, 1, 2, 3, 4, 5]],
    ['permute(1, 0)', (x) => x.permute(1, 0), [3, 2], [0, 3, 1, 4, 2, 5]],
    ['transpose(0, 1)', (x) => x.transpose(0, 1), [3, 2], [0, 3, 1, 4, 2, 5]],
    ['transpose(-1, -2)', (x) => x.transpose(-1, -2), [3, 2], [0, 3, 1, 4, 2, 5]],
    ['unsqueeze(1)', (x) => x.unsqueeze(1), [2, 1, 3], [0, 1, 2, 3, 4, 5]],
    ['unsqueeze(-1)', (x) => x.unsqueeze(-1), [2, 3, 1], [0, 1, 2, 3, 4, 5]],
    ['squeeze of a size above 1', (x) => x.squeeze(0), [2, 3], [0, 1, 2, 3, 4, 5]],
    ['squeeze(0) of [1, 2, 3]', (x) => x.unsqueeze(0).squeeze(0), [2, 3], [0, 1, 2, 3, 4, 5]],
    ['expand', (x) => x.narrow(1, 0, 1).expand(2, 2), [2, 2], [0, 0, 3, 3]],
    ['expand(-1, 2)', (x) => x.narrow(1, 2, 1).expand(-1, 2), [2, 2], [2, 2, 5, 5]],
    ['repeat', (x) => x.narrow(0, 1, 1).repeat(2, 1), [2, 3], [3, 4, 5, 3, 4, 5]],
    ['flip(0)', (x) => x.flip(0), [2, 3], [3, 4, 5, 0, 1, 2]],
    ['flip(0, 1)', (x) => x.flip(0, 1), [2, 3], [5, 4, 3, 2, 1, 0]],
    ['narrow', (x) => x.narrow(1, 1, 2), [2, 2], [1, 2, 4, 5]],
    ['narrow of nothing', (x) => x.narrow(1, 3, 0), [2, 0], []],
    ['select a row', (x) => x.select(0, 1), [3], [3, 4, 5]],
    ['select the last column', (x) => x.select(1, -1), [2], [2, 5]],
    ['indexSelect', (x) => x.indexSelect(1, index(2, 0, 2)), [2, 3], [2, 0, 2, 5, 3, 5]],
    ['gather', (x) => x.gather(1, index(2, 0).reshape(2, 1)), [2, 1], [2, 3]],
    ['contiguous', (x) => x.transpose(0, 1).contiguous(), [3, 2], [0, 3, 1, 4, 2, 5]],
    ['clone', (x) => x.clone(), [2, 3], [0, 1, 2, 3, 4, 5]],
  ])('%s', (_, op, shape, values) =>
    scope(() => expect(facts(op(count([2, 3])))).toEqual({ shape, values, dtype: 'float32' })),
  );

  run('cat along a dimension, stack along a new one', () => {
    const [a, b] = [count([2, 2]), count([2, 2]).add(10)];
    expect(facts(Tensor.cat([a, b]))).toMatchObject({ shape: [4, 2], values: [0, 1, 2, 3, 10, 11, 12, 13] });
    expect(facts(Tensor.cat([a, b], 1))).toMatchObject({
      shape: [2, 4],
      values: [0, 1, 10, 11, 2, 3, 12, 13],
    });
    expect(facts(Tensor.stack([a, b], -1))).toMatchObject({
      shape: [2, 2, 2],
      values: [0, 10, 1, 11, 2, 12, 3, 13],
    });
    expect(Tensor.cat([a, Tensor.zeros([1, 2], 'int64')]).dtype).toBe('float32');
  });

  run('views share memory, clones do not', () => {
    const x = count([2, 3]);
    const [view, clone] = [x.view(6), x.clone()];
    x.fill_(9);
    expect(numbers(view)).toEqual([9, 9, 9, 9, 9, 9]);
    expect(numbers(clone)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('permuting and permuting back is nothing, for any rank', () => {
    const order = fc
      .integer({ min: 1, max: 5 })
      .chain((n) => fc.shuffledSubarray([...Array(n).keys()], { minLength: n }));
    fc.assert(
      fc.property(order, fc.integer({ min: 1, max: 3 }), (dims, seed) =>
        scope(() => {
          const x = count(dims.map((d) => 1 + ((d * seed) % 3)));
          const inverse = dims.map((_, i) => dims.indexOf(i));
          const there = x.permute(...dims);
          expect(there.shape).toEqual(dims.map((d) => x.shape[d]));
          expect(numbers(there.permute(...inverse))).toEqual(numbers(x));
        }),
      ),
    );
  });

  it('cutting and joining is nothing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 2, max: 6 }),
        fc.nat(),
        (rows, columns, cut) =>
          scope(() => {
            const x = count([rows, columns]);
            const at = 1 + (cut % (columns - 1));
            const parts = [x.narrow(1, 0, at), x.narrow(1, at, columns - at)];
            expect(facts(Tensor.cat(parts, 1))).toEqual(facts(x));
          }),
      ),
    );
  });
});

describe('expectShape', () => {
  run('accepts equal shapes and any size where -1 stands', () => {
    expectShape(Tensor.zeros([2, 3]), [2, 3], 'x');
    expectShape(Tensor.zeros([2, 3]), [-1, 3], 'x');
    expectShape(Tensor.zeros([]), [], 'x');
  });

  it.each<[number[], number[], string]>([
    [
      [2, 1, 64, 64],
      [2, 3, -1, -1],
      'Expected shape [2, 3, any, any] for images but received [2, 1, 64, 64]',
    ],
    [[2], [2, 1], 'Expected shape [2, 1] for images but received [2]'],
  ])('refuses %j for %j', (actual, expected, message) =>
    scope(() => {
      const error = caught(() => expectShape(Tensor.zeros(actual), expected, 'images'));
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toBe(message);
    }),
  );
});

describe('text', () => {
  run('names shape, dtype and device, or that it is disposed', () => {
    const x = Tensor.zeros([2, 3], 'int64');
    expect(String(x)).toBe('Tensor([2, 3], int64, cpu)');
    x.dispose();
    expect(String(x)).toBe('Tensor(disposed)');
  });
});
