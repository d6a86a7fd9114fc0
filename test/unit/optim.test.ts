/** PolyWarmupAdamW: the schedule by its formula, AdamW by its paper, exact continuation from saved state. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  learningRateFactor,
  type ParameterGroup,
  PolyWarmupAdamW,
  type PolyWarmupOptions,
} from '../../src/optim/poly-warmup-adamw.js';
import { type DType, memory, noGrad, scope, Tensor } from '../../src/tensor/index.js';
import { bytesOf, caught, expectClose, numbers } from '../native/support.js';

const SCHEDULE: PolyWarmupOptions = {
  betas: [0.9, 0.999],
  warmupIter: 4,
  maxIter: 20,
  warmupRatio: 0.1,
  power: 0.9,
};

let before: number;
beforeEach(() => {
  before = memory().liveTensors;
});
afterEach(() => expect(memory().liveTensors).toBe(before));

const parameter = (values: number[], dtype: DType = 'float32') => {
  const start = Tensor.from(values);
  const converted = start.to({ dtype });
  if (converted !== start) start.dispose();
  return Object.assign(converted, { requiresGrad: true });
};
/** Sets a parameter's gradient to these numbers. */
const setGradient = (p: Tensor, gradient: number[]) =>
  scope(() => {
    p.clearGrad();
    p.mul(Tensor.from(Float64Array.from(gradient)).to({ dtype: p.dtype }))
      .sum()
      .backward();
  });
const withOptimizer = (
  groups: ParameterGroup[],
  body: (optimizer: PolyWarmupAdamW) => void,
  options: Partial<PolyWarmupOptions> = {},
) => {
  const optimizer = new PolyWarmupAdamW(groups, { ...SCHEDULE, ...options });
  try {
    body(optimizer);
  } finally {
    optimizer.dispose();
    for (const p of new Set(groups.flatMap((g) => g.parameters))) p.dispose();
  }
};

describe('learning rate', () => {
  // Reference notes: step k < warm-up: 1 - (1 - k/warm-up)(1 - ratio); else (1 - k/max)^power.
  it.each<[number, number]>([
    [0, 0.1],
    [1, 0.325],
    [2, 0.55],
    [3, 0.775],
    [4, (16 / 20) ** 0.9],
    [10, 0.5 ** 0.9],
    [19, (1 / 20) ** 0.9],
    [20, (1 / 20) ** 0.9],
    [1000, (1 / 20) ** 0.9],
  ])('factor at step %i is %f', (step, expected) => {
    expect(learningRateFactor(step, SCHEDULE)).toBeCloseTo(expected, 12);
  });

  it('without warm-up starts at 1; power 1 is a straight line', () => {
    expect(learningRateFactor(0, { ...SCHEDULE, warmupIter: 0 })).toBe(1);
    expect(learningRateFactor(5, { ...SCHEDULE, warmupIter: 0, power: 1 })).toBe(0.75);
  });

  it('lies between 0 and 1, rises through warm-up and falls after it', () => {
    const options = fc.record({
      warmupIter: fc.nat(50),
      extra: fc.integer({ min: 1, max: 200 }),
      warmupRatio: fc.double({ min: 0, max: 1, noNaN: true }),
      power: fc.double({ min: 0.1, max: 3, noNaN: true }),
    });
    fc.assert(
      fc.property(options, ({ extra, ...rest }) => {
        const schedule = { ...SCHEDULE, ...rest, maxIter: rest.warmupIter + extra };
        const factors = Array.from({ length: schedule.maxIter + 5 }, (_, k) =>
          learningRateFactor(k, schedule),
        );
        for (const [k, factor] of factors.entries()) {
          expect(factor).toBeGreaterThanOrEqual(-1e-12);
          expect(factor).toBeLessThanOrEqual(1 + 1e-12);
          if (k === 0 || k === schedule.warmupIter) continue;
          const rise = factor - factors[k - 1]!;
          if (k < schedule.warmupIter) expect(rise).toBeGreaterThanOrEqual(-1e-12);
          else expect(rise).toBeLessThanOrEqual(1e-12);
        }
      }),
    );
  });

  it('learningRates() are those of the next step, one for each group', () => {
    const groups = [1, 10].map((lr) => ({ parameters: [parameter([1])], lr, weightDecay: 0 }));
    withOptimizer(groups, (optimizer) => {
      for (let k = 0; k < 25; k++) {
        expect(optimizer.stepCount).toBe(k);
        const factor = learningRateFactor(k, SCHEDULE);
        expectClose(optimizer.learningRates(), [factor, 10 * factor], 1e-12);
        optimizer.step();
      }
    });
  });
});

/** AdamW, algorithm 2 of Loshchilov and Hutter (2019), in float64. */
class PaperAdamW {
  #first: number[];
  #second: number[];
  #step = 0;
  constructor(readonly values: number[]) {
    this.#first = values.map(() => 0);
    this.#second = values.map(() => 0);
  }
  step(gradient: number[], lr: number, decay: number, eps = 1e-8): void {
    this.#step += 1;
    gradient.forEach((g, i) => {
      this.#first[i] = 0.9 * this.#first[i]! + 0.1 * g;
      this.#second[i] = 0.999 * this.#second[i]! + 0.001 * g * g;
      const first = this.#first[i]! / (1 - 0.9 ** this.#step);
      const second = this.#second[i]! / (1 - 0.999 ** this.#step);
      this.values[i] = this.values[i]! * (1 - lr * decay) - (lr * first) / (Math.sqrt(second) + eps);
    });
  }
}

const gradientAt = (k: number, size: number) =>
  Array.from({ length: size }, (_, i) => Math.sin(3 * k + i) * 0.7);

describe('step', () => {
  it.each<[DType, number]>([
    ['float32', 2e-6],
    ['float64', 1e-12],
  ])('is AdamW with decoupled weight decay, in %s', (dtype, tolerance) => {
    const start = [1, -2, 0.5];
    const groups = [
      { parameters: [parameter(start, dtype)], lr: 0.1, weightDecay: 0.01 },
      { parameters: [parameter(start, dtype)], lr: 0.02, weightDecay: 0 },
    ];
    withOptimizer(groups, (optimizer) => {
      const papers = groups.map(() => new PaperAdamW([...start]));
      for (let k = 0; k < 15; k++) {
        for (const [g, { parameters }] of groups.entries()) setGradient(parameters[0]!, gradientAt(k + g, 3));
        const rates = optimizer.learningRates();
        optimizer.step();
        papers.forEach((paper, g) => {
          paper.step(gradientAt(k + g, 3), rates[g]!, groups[g]!.weightDecay);
          expectClose(numbers(groups[g]!.parameters[0]!), paper.values, tolerance);
        });
      }
    });
  });

  it('a missing gradient steps exactly like one of zeros: moments fade, weights decay', () => {
    const twins = [parameter([1, -2]), parameter([1, -2])];
    const groups = twins.map((p) => ({ parameters: [p], lr: 0.1, weightDecay: 0.1 }));
    withOptimizer(groups, (optimizer) => {
      for (const p of twins) setGradient(p, [0.5, -1]);
      optimizer.step();
      for (let k = 0; k < 4; k++) {
        twins[0]!.clearGrad();
        setGradient(twins[1]!, [0, 0]);
        const last = numbers(twins[0]!);
        optimizer.step();
        expect(bytesOf(twins[0]!.data())).toEqual(bytesOf(twins[1]!.data()));
        expect(numbers(twins[0]!)).not.toEqual(last);
      }
    });
  });

  it('a parameter that never had a gradient only decays', () => {
    const p = parameter([2]);
    withOptimizer([{ parameters: [p], lr: 0.1, weightDecay: 0.5 }], (optimizer) => {
      optimizer.step();
      expectClose(numbers(p), [2 * (1 - 0.1 * 0.1 * 0.5)], 1e-6);
    });
  });

  it('a group at rate 0 without decay never moves and holds no moments', () => {
    const frozen = parameter([1]);
    withOptimizer([{ parameters: [frozen], lr: 0, weightDecay: 0 }], (optimizer) => {
      setGradient(frozen, [5]);
      optimizer.step();
      expect(numbers(frozen)).toEqual([1]);
      expect(optimizer.state().groups[0]).toEqual({ firstMoments: [], secondMoments: [], steps: [] });
      expect(optimizer.learningRates()).toEqual([0]);
    });
  });

  it('keeps gradients until zeroGrad(), which drops those of every group', () => {
    const groups = [0.1, 0].map((lr) => ({ parameters: [parameter([1])], lr, weightDecay: 0.1 }));
    withOptimizer(groups, (optimizer) => {
      const all = groups.map((g) => g.parameters[0]!);
      for (const p of all) setGradient(p, [1]);
      optimizer.step();
      expect(scope(() => all.map((p) => p.grad !== undefined))).toEqual([true, true]);
      optimizer.zeroGrad();
      expect(all.map((p) => p.grad)).toEqual([undefined, undefined]);
    });
  });

  it('records nothing for backward and makes no tensor', () => {
    const p = parameter([1]);
    withOptimizer([{ parameters: [p], lr: 0.1, weightDecay: 0.1 }], (optimizer) => {
      setGradient(p, [1]);
      const live = memory().liveTensors;
      optimizer.step();
      expect(memory().liveTensors).toBe(live);
      setGradient(p, [2]);
      expect(scope(() => numbers(p.grad!))).toEqual([2]);
    });
  });

  it('survives the scope it was made in, and dispose() twice', () => {
    const p = parameter([1]);
    const optimizer = scope(
      () => new PolyWarmupAdamW([{ parameters: [p], lr: 0.1, weightDecay: 0 }], SCHEDULE),
    );
    setGradient(p, [1]);
    optimizer.step();
    expect(numbers(p)[0]).toBeLessThan(1);
    optimizer.dispose();
    optimizer.dispose();
    p.dispose();
  });
});

describe('state', () => {
  const SIZES = [3, 1, 5];
  const makeGroups = (values: number[][]): ParameterGroup[] => {
    const all = values.map((v) => parameter(v));
    return [
      { parameters: all.slice(0, 2), lr: 0.1, weightDecay: 0.01 },
      { parameters: all.slice(2), lr: 0.5, weightDecay: 0 },
    ];
  };
  const advance = (optimizer: PolyWarmupAdamW, groups: ParameterGroup[], from: number, to: number) => {
    for (let k = from; k < to; k++) {
      groups
        .flatMap((g) => g.parameters)
        .forEach((p, i) => {
          // Now and then one has no gradient.
          if ((k + i) % 5 === 0) p.clearGrad();
          else setGradient(p, gradientAt(k + i, p.numel));
        });
      optimizer.step();
    }
  };
  const bits = (groups: ParameterGroup[]) =>
    groups.flatMap((g) => g.parameters).map((p) => bytesOf(p.data()));
  const start = SIZES.map((n, i) => Array.from({ length: n }, (_, k) => Math.cos(i + k)));

  it('N steps are k steps, save, load into a fresh optimizer, and N - k steps, bit for bit', () => {
    const N = 12;
    const whole = makeGroups(start);
    withOptimizer(whole, (optimizer) => {
      advance(optimizer, whole, 0, N);
      for (const k of [0, 1, 3, 4, 11]) {
        const first = makeGroups(start);
        withOptimizer(first, (one) => {
          advance(one, first, 0, k);
          const state = structuredClone(one.state());
          const second = makeGroups(first.flatMap((g) => g.parameters.map((p) => numbers(p))));
          withOptimizer(second, (two) => {
            two.loadState(state);
            expect(two.stepCount).toBe(k);
            expect(two.learningRates()).toEqual(one.learningRates());
            advance(two, second, k, N);
            expect(bits(second)).toEqual(bits(whole));
            expect(two.state()).toEqual(optimizer.state());
          });
        });
      }
    });
  });

  it('without the state the continuation is another: the check above can fail', () => {
    const [whole, half] = [makeGroups(start), makeGroups(start)];
    withOptimizer(whole, (optimizer) => {
      advance(optimizer, whole, 0, 6);
      withOptimizer(half, (one) => {
        advance(one, half, 0, 3);
        const fresh = makeGroups(half.flatMap((g) => g.parameters.map((p) => numbers(p))));
        withOptimizer(fresh, (two) => {
          advance(two, fresh, 3, 6);
          expect(bits(fresh)).not.toEqual(bits(whole));
        });
      });
    });
  });

  it('is a copy in both directions', () => {
    const groups = makeGroups(start);
    withOptimizer(groups, (optimizer) => {
      advance(optimizer, groups, 0, 2);
      const state = optimizer.state();
      const saved = structuredClone(state);
      advance(optimizer, groups, 2, 4);
      expect(state).toEqual(saved);
      optimizer.loadState(state);
      advance(optimizer, groups, 2, 3);
      expect(state).toEqual(saved);
    });
  });

  it('of other groups is refused before anything changes', () => {
    const [groups, other] = [makeGroups(start), [{ parameters: [parameter([1])], lr: 1, weightDecay: 1 }]];
    withOptimizer(groups, (optimizer) =>
      withOptimizer(other, (foreign) => {
        advance(optimizer, groups, 0, 1);
        const state = structuredClone(optimizer.state());
        const error = caught(() => optimizer.loadState(foreign.state())) as Error;
        expect(error.message).toBe(
          'Expected optimizer state for parameter groups of 2, 1 but received 1; ' +
            'resume with the configuration that the run began with.',
        );
        expect(optimizer.state()).toEqual(state);
      }),
    );
  });
});

it('steps parameters under noGrad as well as outside', () => {
  const p = parameter([1]);
  withOptimizer([{ parameters: [p], lr: 0.1, weightDecay: 0 }], (optimizer) => {
    setGradient(p, [1]);
    noGrad(() => optimizer.step());
    expect(numbers(p)[0]).toBeLessThan(1);
    expect(p.requiresGrad).toBe(true);
  });
});
