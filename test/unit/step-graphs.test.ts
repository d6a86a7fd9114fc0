/**
 * Steps through StepGraphs. Graphs themselves need a GPU (test/cuda): here a recording does the recorded work anew, so that
 * whatever a step has outside of its inputs and of the state would show.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Batch } from '../../src/loading/batch.js';
import { WeTr } from '../../src/models/wetr.js';
import { native } from '../../src/native/index.js';
import { PolyWarmupAdamW } from '../../src/optim/poly-warmup-adamw.js';
import {
  CudaGraph,
  getRngState,
  keep,
  memory,
  noGrad,
  type Recording,
  scope,
  setRngState,
  setupSeed,
  Tensor,
} from '../../src/tensor/index.js';
import { queueStep, type StepOptions, type StepResult } from '../../src/training/step.js';
import { StepGraphs } from '../../src/training/step-graphs.js';
import { STEP_OPTIONS } from '../step-options.js';

const SIDE = 64;
const OPTIONS: StepOptions = { ...STEP_OPTIONS, positiveWeights: Float32Array.of(2) };
const PHASES = ['cls', 'cam', 'affinity'] as const;

/** Another batch each time; the second image has the class every other time. */
const batch = (seed: number): Batch => ({
  names: ['a', 'b'],
  pixels: {
    kind: 'floats',
    data: Float32Array.from({ length: 2 * 3 * SIDE * SIDE }, (_, i) => Math.sin(i * 0.01 + seed)),
  },
  height: SIDE,
  width: SIDE,
  labels: Float32Array.of(1, seed % 2),
  boxes: Int32Array.of(0, SIDE, 0, SIDE, 0, SIDE, 5, SIDE),
});

/** Without a finite pixel. */
const spoilt = (one: Batch): Batch => ({
  ...one,
  pixels: { kind: 'floats', data: new Float32Array(one.pixels.data.length).fill(Number.NaN) },
});

type Work = () => Tensor;

/** As a CUDA graph seems from outside: recording does nothing, replaying does all. */
class Again implements Recording {
  /** Those that hold memory. */
  static readonly living = new Set<Again>();
  #work: Work | undefined;
  #output: Tensor | undefined;
  constructor(readonly state: () => readonly Tensor[]) {}

  aside<T>(body: () => T): T {
    return body();
  }
  record<T>(body: () => T): T {
    const before = this.state().map((tensor) => keep(tensor.detach().clone()));
    const random = getRngState();
    const output = body();
    noGrad(() => {
      for (const [i, tensor] of this.state().entries()) tensor.copy_(before[i]!);
    });
    for (const tensor of before) tensor.dispose();
    setRngState(random);
    Again.living.add(this);
    this.#work = body as Work;
    this.#output = output as Tensor;
    noGrad(() => this.#output!.mul_(Number.NaN));
    return output;
  }
  replay(): void {
    scope(() => noGrad(() => this.#output!.copy_(this.#replayed())));
  }
  dispose(): void {
    Again.living.delete(this);
    this.#work = undefined;
  }
  #replayed(): Tensor {
    native.setGradEnabled(true);
    return this.#work!();
  }
}

afterEach(() => expect(Again.living).toEqual(new Set()));

interface Run {
  results: StepResult[];
  weights: string[];
  random: string;
  /** Shapes that were recorded. */
  count: number;
  warnings: string[];
  live: number;
}

/**
 * Steps of every phase; `create` makes recordings, of which there are none without it.
 * @param bad the step of each phase that is not finite, at which training stops
 */
function run(
  create?: (state: () => readonly Tensor[]) => Recording,
  logEvery = 5,
  steps = 7,
  pays = () => true,
  bad?: number,
): Run {
  setupSeed(3);
  const model = new WeTr({ backbone: 'mit_b0', numClasses: 2, dropPath: 0.3, headDropout: 0.3 }).train();
  const { backbone, classifier, decoder } = model.parameterGroups();
  const optimizer = new PolyWarmupAdamW(
    [
      { parameters: backbone, lr: 1e-4, weightDecay: 0.01 },
      { parameters: [...classifier, ...decoder], lr: 1e-3, weightDecay: 0.01 },
    ],
    { betas: [0.9, 0.999], warmupIter: 4, maxIter: 100, warmupRatio: 1e-3, power: 1, stopAtNonFinite: true },
  );
  const state = () => ({ all: [...model.state().values()], ...optimizer.tensors() });
  const warnings: string[] = [];
  const graphs =
    create &&
    new StepGraphs({
      state,
      create: () => create(() => Object.values(state()).flat()),
      pays,
      fits: () => true,
      warn: (message) => warnings.push(message),
    });
  const results = PHASES.flatMap((phase) =>
    Array.from({ length: steps }, (_, i) =>
      queueStep(
        model,
        optimizer,
        i === bad ? spoilt(batch(i)) : batch(i),
        phase,
        { ...OPTIONS, graphs },
        (i + 1) % logEvery === 0,
      ).take(),
    ),
  );
  const weights = [...model.stateDict()].map(
    ([name, { data }]) => `${name} ${Buffer.from(data).toString('base64')}`,
  );
  const random = Buffer.from(getRngState().data).toString('base64');
  const count = graphs?.count ?? 0;
  graphs?.dispose();
  optimizer.dispose();
  model.dispose();
  return { results, weights, random, count, warnings, live: memory().liveTensors };
}

const plain = run();
const same = (other: Run) => {
  expect(other.results).toEqual(plain.results);
  expect(other.weights).toEqual(plain.weights);
  expect(other.random).toBe(plain.random);
};

describe('training steps through recordings', () => {
  it('are the same steps, to the last bit, with new images, labels and rates each time', () => {
    const recorded = run((state) => new Again(state));
    expect(recorded.warnings).toEqual([]);
    expect(recorded.count).toBe(PHASES.length);
    same(recorded);
    expect(recorded.live).toBe(plain.live);
  });

  // Each phase: three steps as they are, one recorded and checked, one logged, two replayed.
  it.each([
    ['recorded', 3],
    ['replayed', 5],
  ])('stop at one that is not finite, be it %s, as they do without', (_when, bad) => {
    const [own, recorded] = [undefined, (state: () => readonly Tensor[]) => new Again(state)].map((create) =>
      run(create, 5, 7, undefined, bad),
    ) as [Run, Run];
    expect(own.results.map(({ nonFinite }) => nonFinite !== undefined)).toEqual(
      own.results.map((_, i) => i >= bad),
    );
    expect(recorded.warnings).toEqual([]);
    expect(recorded.count).toBe(PHASES.length);
    expect(recorded.results).toEqual(own.results);
    expect(recorded.weights).toEqual(own.weights);
  });

  it('that cannot be recorded are the same, and say why once', () => {
    class Refusing extends Again {
      override record<T>(body: () => T): T {
        super.record(body);
        throw new Error('operation not permitted when stream is capturing');
      }
    }
    const refused = run((state) => new Refusing(state));
    expect(refused.warnings).toEqual([
      'Training steps run without CUDA graphs: operation not permitted when stream is capturing',
    ]);
    expect(refused.count).toBe(0);
    same(refused);
    expect(refused.live).toBe(plain.live);
  });

  it.each<[what: string, spoil: (state: readonly Tensor[], replay: () => void) => void, says: RegExp]>([
    ['do not happen', () => {}, /Expected the numbers/],
    ['change no weight', withoutEffect, /Expected a recorded step to change \w+ by/],
    ['draw other random numbers', withOtherNumbers, /Expected/],
  ])('that %s are left out, and the training is none the worse', (_what, spoil, says) => {
    class Spoilt extends Again {
      override replay(): void {
        spoil(this.state(), () => super.replay());
      }
    }
    const spoilt = run((state) => new Spoilt(state));
    expect(spoilt.warnings).toHaveLength(1);
    expect(spoilt.warnings[0]).toMatch(says);
    expect(spoilt.count).toBe(0);
    same(spoilt);
  });

  it('are not used any more once another recording of the process has failed', () => {
    let replays = 0;
    class Counted extends Again {
      override replay(): void {
        replays += 1;
        super.replay();
      }
    }
    // The classification phase: three steps as they are, one recorded and checked, one logged, one replayed.
    const sound = { left: 5 };
    const broken = run(
      (state) => new Counted(state),
      5,
      7,
      () => sound.left-- > 0,
    );
    expect(replays).toBe(2);
    expect(broken.warnings).toEqual([]);
    same(broken);
  });

  it('that fail on the device for want of memory leave the step that was made', () => {
    class Full extends Again {
      override replay(): void {
        throw new Error('CUDA out of memory');
      }
    }
    const full = run((state) => new Full(state));
    expect(full.warnings).toEqual(['Training steps run without CUDA graphs: CUDA out of memory']);
    same(full);
  });
});

function withOtherNumbers(_state: readonly Tensor[], replay: () => void): void {
  setupSeed(99);
  replay();
}

function withoutEffect(state: readonly Tensor[], replay: () => void): void {
  const before = state.map((tensor) => keep(tensor.detach().clone()));
  replay();
  noGrad(() => {
    for (const [i, tensor] of state.entries()) tensor.copy_(before[i]!);
  });
  for (const tensor of before) tensor.dispose();
}

describe('AdamW with its rate on the device', () => {
  it('updates as with the rate as a number', () => {
    const [byNumber, byTensor] = [undefined, Tensor.from([0.25], [])].map((rate) =>
      scope(() => {
        const parameter = Tensor.from([1, -2, 3]);
        parameter.requiresGrad = true;
        parameter
          .mul(Tensor.from([0.5, 1, -2]))
          .sum()
          .backward();
        const [first, second, steps] = [Tensor.zeros([3]), Tensor.zeros([3]), Tensor.zeros([])];
        const handles = [[parameter], [first], [second], [steps]].map((list) => list.map(Tensor.handle));
        native.adamwStep(
          ...(handles as [never, never, never, never]),
          rate ? Number.NaN : 0.25,
          rate && Tensor.handle(rate),
          0.9,
          0.999,
          0.01,
          1e-8,
          undefined,
        );
        return parameter.detach().toFloat32();
      }),
    );
    // The first step of AdamW: p (1 - lr wd) - lr sign(g).
    for (const [i, expected] of [1 - 0.0025 - 0.25, -2 + 0.005 - 0.25, 3 - 0.0075 + 0.25].entries())
      expect(byNumber![i]).toBeCloseTo(expected, 5);
    expect(byTensor).toEqual(byNumber);
  });
});

describe('a CUDA graph', () => {
  it('is refused on the CPU, in words', () => {
    using model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
    expect(() => new CudaGraph('cpu', model.handle)).toThrow(/CUDA graph/);
    expect(scope(() => CudaGraph.pays(Tensor.zeros([1, 3, 32, 32])))).toBe(false);
  });
});
