/** Who frees a tensor: scope(), dispose(), `using`. memory() counts exactly, from 4096 bytes on also bytes. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keep, memory, scope, Tensor } from '../../src/tensor/index.js';
import { caught, numbers } from './support.js';

let before: { liveTensors: number; liveBytes: number };
beforeEach(() => {
  before = memory();
});
afterEach(() => expect(memory(), 'every test gives back what it took').toEqual(before));

const live = () => memory().liveTensors - before.liveTensors;
const KILO = 1024; // float32 elements of 4096 bytes

describe('memory', () => {
  it('counts every tensor, and bytes of those of 4096 and more', () => {
    const bytes = () => memory().liveBytes - before.liveBytes;
    const [large, small] = [Tensor.zeros([KILO]), Tensor.zeros([KILO - 1])];
    expect([live(), bytes()]).toEqual([2, 4096]);
    const double = Tensor.zeros([KILO], 'float64');
    expect([live(), bytes()]).toEqual([3, 4096 + 8192]);
    for (const tensor of [large, small, double]) tensor.dispose();
    expect([live(), bytes()]).toEqual([0, 0]);
  });

  it('reading a tensor makes none', () => {
    const x = Tensor.zeros([3], 'int64');
    x.toFloat32();
    x.data();
    x.toRaw();
    x.all();
    x.any();
    x.sum().dispose();
    String(x);
    expect(live()).toBe(1);
    x.dispose();
  });

  it('grad makes a new handle each time it is read', () => {
    scope(() => {
      const x = Object.assign(Tensor.from([1]), { requiresGrad: true });
      expect(x.grad).toBeUndefined();
      x.mul(2).backward();
      const held = live();
      expect(x.grad).toBeDefined();
      expect(live()).toBe(held + 1);
    });
  });
});

describe('dispose', () => {
  it('frees at once, and once', () => {
    const x = Tensor.zeros([KILO]);
    expect(x.isDisposed).toBe(false);
    x.dispose();
    expect(live()).toBe(0);
    x.dispose();
    expect([live(), x.isDisposed]).toEqual([0, true]);
  });

  it('is what `using` calls, also when the block throws', () => {
    {
      using x = Tensor.zeros([2]);
      expect([live(), x.isDisposed]).toEqual([1, false]);
    }
    expect(live()).toBe(0);
    expect(() => {
      using x = Tensor.zeros([2]);
      x.reshape(3);
    }).toThrow('reshape()');
    expect(live()).toBe(0);
  });

  it('of a tensor leaves its views alive, and the other way round', () => {
    const base = Tensor.from([1, 2, 3, 4]);
    const [view, other] = [base.view(2, 2), base.narrow(0, 2, 2)];
    base.dispose();
    expect(numbers(view)).toEqual([1, 2, 3, 4]);
    view.dispose();
    expect(numbers(other)).toEqual([3, 4]);
    other.dispose();
  });

  it('of inputs does not disturb a gradient graph that needs them', () => {
    scope(() => {
      const x = Object.assign(Tensor.from([3]), { requiresGrad: true });
      const square = x.square();
      const loss = square.mul(square);
      square.dispose();
      loss.backward();
      expect(numbers(x.grad!)).toEqual([4 * 27]);
    });
  });
});

describe('scope', () => {
  it('frees what was made in it', () => {
    const result = scope(() => {
      const x = Tensor.zeros([2]);
      x.add(1).mul(2);
      expect(live()).toBe(3);
      return 'done';
    });
    expect([result, live()]).toEqual(['done', 0]);
  });

  it('leaves tensors of outside alone', () => {
    const outside = Tensor.zeros([2]);
    expect(scope(() => outside)).toBe(outside);
    scope(() => {
      outside.add(1);
    });
    expect([outside.isDisposed, live()]).toEqual([false, 1]);
    outside.dispose();
  });

  it('hands on what is returned: alone, in arrays, maps, objects, and nested', () => {
    const shapes: [name: string, wrap: (x: Tensor, y: Tensor) => unknown, kept: number][] = [
      ['alone', (x) => x, 1],
      ['array', (x, y) => [x, y], 2],
      ['object', (x, y) => ({ x, deep: { y } }), 2],
      ['map', (x, y) => new Map([['a', [x, { y }]]]), 2],
      ['twice', (x) => [x, x], 1],
      ['nothing', () => null, 0],
      ['a number from it', (x) => x.sum().item(), 0],
    ];
    for (const [name, wrap, kept] of shapes) {
      const made: Tensor[] = [];
      scope(() => {
        made.push(Tensor.zeros([1]), Tensor.ones([1]));
        return wrap(made[0]!, made[1]!);
      });
      expect(live(), name).toBe(kept);
      for (const tensor of made) tensor.dispose();
    }
  });

  it('returns an object that holds itself', () => {
    const result = scope(() => {
      const holder: { tensor: Tensor; self?: unknown } = { tensor: Tensor.ones([1]) };
      holder.self = holder;
      return holder;
    });
    expect([live(), numbers(result.tensor)]).toEqual([1, [1]]);
    result.tensor.dispose();
  });

  it('nests: what an inner one returns belongs to the outer one', () => {
    scope(() => {
      const inner = scope(() => [Tensor.zeros([1]), scope(() => Tensor.ones([1]).add(1))]);
      expect(live()).toBe(2);
      expect(inner.every((x) => !x.isDisposed)).toBe(true);
    });
    expect(live()).toBe(0);
  });

  it('frees everything when the body throws, and the enclosing one goes on', () => {
    scope(() => {
      const outer = Tensor.zeros([1]);
      const error = caught(() =>
        scope(() => {
          Tensor.zeros([2]).reshape(3);
        }),
      );
      expect((error as Error).message).toContain('reshape()');
      expect([live(), outer.isDisposed]).toEqual([1, false]);
    });
    expect(live()).toBe(0);
    // The stack of scopes is whole again: a tensor made now belongs to none.
    const free = Tensor.zeros([1]);
    expect(free.isDisposed).toBe(false);
    free.dispose();
  });

  it('refuses a promise, frees what it made, and swallows its rejection', async () => {
    for (const body of [
      async () => Tensor.zeros([1]),
      async () => {
        Tensor.zeros([1]);
        throw new Error('late');
      },
    ]) {
      const error = caught(() => scope(body));
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toMatch(
        /^Expected a synchronous function for scope\(\) but received one that returns a promise/,
      );
      expect(live()).toBe(0);
    }
    await new Promise((resume) => setImmediate(resume));
  });

  it('may dispose in it what it made', () => {
    scope(() => {
      const x = Tensor.zeros([1]);
      x.dispose();
      return x;
    });
    expect(live()).toBe(0);
  });
});

describe('keep', () => {
  it('takes a tensor out of every open scope', () => {
    const kept = scope(() =>
      scope(() => {
        const x = Tensor.zeros([1]);
        Tensor.zeros([1]);
        return { held: keep(x) };
      }),
    );
    expect([live(), kept.held.isDisposed]).toEqual([1, false]);
    scope(() => kept.held);
    expect(kept.held.isDisposed).toBe(false);
    kept.held.dispose();
  });

  it('holds through an exception, and returns its argument', () => {
    let held: Tensor | undefined;
    caught(() =>
      scope(() => {
        const x = Tensor.zeros([1]);
        held = keep(x);
        expect(held).toBe(x);
        throw new Error('after');
      }),
    );
    expect(held!.isDisposed).toBe(false);
    held!.dispose();
  });

  it('outside any scope changes nothing', () => {
    const x = keep(Tensor.zeros([1]));
    expect(live()).toBe(1);
    x.dispose();
  });
});

it('any program of scopes, keeps and throws leaves exactly what was kept', () => {
  type Step = 'make' | 'keep' | 'scope' | 'throw' | 'dispose';
  const step = fc.constantFrom<Step>('make', 'make', 'keep', 'scope', 'scope', 'throw', 'dispose');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const kept: Tensor[] = [];
      const walk = (at: number): void => {
        for (let k = at; k < steps.length; k++) {
          const what = steps[k];
          if (what === 'make') Tensor.zeros([1]);
          else if (what === 'keep') kept.push(keep(Tensor.zeros([1])));
          else if (what === 'dispose') Tensor.zeros([1]).dispose();
          else if (what === 'throw') throw new Error('stop');
          else {
            scope(() => walk(k + 1));
            return;
          }
        }
      };
      try {
        scope(() => walk(0));
      } catch (error) {
        expect((error as Error).message).toBe('stop');
      }
      expect(live()).toBe(kept.length);
      for (const tensor of kept) tensor.dispose();
    }),
    { numRuns: 300 },
  );
});
