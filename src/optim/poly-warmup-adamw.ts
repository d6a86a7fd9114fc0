import { native } from '../native/index.js';
import { type Device, keep, type RawTensor, scope, Tensor } from '../tensor/index.js';

export interface ParameterGroup {
  parameters: readonly Tensor[];
  lr: number;
  weightDecay: number;
}

export interface PolyWarmupOptions {
  betas: readonly [number, number];
  warmupIter: number;
  maxIter: number;
  warmupRatio: number;
  power: number;
  eps?: number;
  /** From the first step that is not finite on nothing is updated any more. Default: such steps alone are left out. */
  stopAtNonFinite?: boolean;
}

/**
 * The factor on every group's learning rate at step k (original: PolyWarmupAdamW.step): linear warm-up from
 * `warmupRatio`, then (1 - k/maxIter)^power; after maxIter the last factor stays.
 */
export function learningRateFactor(step: number, options: PolyWarmupOptions): number {
  const { warmupIter, maxIter, warmupRatio, power } = options;
  if (step < warmupIter) return 1 - (1 - step / warmupIter) * (1 - warmupRatio);
  return (1 - Math.min(step, Math.max(maxIter - 1, 0)) / maxIter) ** power;
}

interface GroupState {
  group: ParameterGroup;
  firstMoments: Tensor[];
  secondMoments: Tensor[];
  steps: Tensor[];
  /** [], float32: the rate on a GPU, where a graph of the update reads it. */
  rate: Tensor | undefined;
}

/** What a resumed run needs: the step count and both moments of every parameter, by group and position. */
export interface OptimizerState {
  step: number;
  groups: { firstMoments: RawTensor[]; secondMoments: RawTensor[]; steps: RawTensor[] }[];
}

const rateOn = (device: Device | undefined): Tensor | undefined =>
  device?.startsWith('cuda') ? keep(Tensor.zeros([], 'float32', device)) : undefined;

/** AdamW under the poly schedule with warm-up. Parameters without a gradient step as if it were zero. */
export class PolyWarmupAdamW {
  readonly #groups: GroupState[];
  /** [1], float32: 1 once a step was not finite, under `stopAtNonFinite`. On the device, as a host hears of it later. */
  readonly #stopped: Tensor | undefined;
  #step = 0;

  constructor(
    groups: readonly ParameterGroup[],
    readonly options: PolyWarmupOptions,
  ) {
    const zeros = (p: Tensor) => keep(Tensor.zeros(p.shape, p.dtype, p.device));
    this.#groups = groups.map((group) => {
      // A group at rate 0 without decay never moves, whatever its moments are: it is left out altogether.
      const parameters = group.lr === 0 && group.weightDecay === 0 ? [] : group.parameters;
      return {
        group: { ...group, parameters },
        firstMoments: parameters.map(zeros),
        secondMoments: parameters.map(zeros),
        steps: parameters.map((p) => keep(Tensor.zeros([], 'float32', p.device))),
        rate: rateOn(parameters[0]?.device),
      };
    });
    const device = groups.flatMap(({ parameters }) => parameters)[0]?.device;
    if (options.stopAtNonFinite) this.#stopped = keep(Tensor.zeros([1], 'float32', device));
  }

  /** Steps taken. */
  get stepCount(): number {
    return this.#step;
  }

  /** The rates that the next step() uses, one for each group. */
  learningRates(): number[] {
    const factor = learningRateFactor(this.#step, this.options);
    return this.#groups.map(({ group }) => group.lr * factor);
  }

  /**
   * Updates parameters in place from their gradients, and counts the step.
   * @param found from findNonFinite(): where it is 1 nothing changes. Whoever reads so must call unstep().
   */
  step(found?: Tensor): void {
    this.sendRates();
    this.update(found);
    this.advance();
  }

  /** Sends the next step's rates to the device. First of the three parts of step(), of which update() can be in a graph. */
  sendRates(): void {
    const rates = this.learningRates();
    this.#groups.forEach(({ rate }, i) => {
      if (!rate) return;
      const sent = Tensor.from(Float32Array.of(rates[i]!), [], 'float32', rate.device);
      rate.copy_(sent);
      sent.dispose();
    });
  }

  /** What step() does on the device. */
  update(found?: Tensor): void {
    const rates = this.learningRates();
    const [beta1, beta2] = this.options.betas;
    this.#groups.forEach(({ group, firstMoments, secondMoments, steps, rate }, i) => {
      if (group.parameters.length === 0) return;
      native.adamwStep(
        group.parameters.map(Tensor.handle),
        firstMoments.map(Tensor.handle),
        secondMoments.map(Tensor.handle),
        steps.map(Tensor.handle),
        rates[i]!,
        rate && Tensor.handle(rate),
        beta1,
        beta2,
        group.weightDecay,
        this.options.eps ?? 1e-8,
        found && Tensor.handle(found),
      );
    });
  }

  /** Counts the step, for the schedule. */
  advance(): void {
    this.#step += 1;
  }

  /** Takes a step back that changed nothing: the schedule does not count it. */
  unstep(): void {
    this.#step -= 1;
  }

  /**
   * float32 [1]: 1 where `loss` or a gradient holds a NaN or an infinity, else 0; under `stopAtNonFinite` 1 from then on. It
   * stays on the device: give it to step(), and read it later.
   */
  findNonFinite(loss: Tensor): Tensor {
    const parameters = this.#groups.flatMap(({ group }) => group.parameters.map(Tensor.handle));
    return scope(() => {
      const found = new Tensor(native.findNonFinite(parameters, Tensor.handle(loss)));
      return this.#stopped ? this.#stopped.copy_(found.maximum(this.#stopped)).clone() : found;
    });
  }

  /** Drops every gradient. */
  zeroGrad(): void {
    for (const { group } of this.#groups) native.clearGrads(group.parameters.map(Tensor.handle));
  }

  /** All that findNonFinite() and update() change but the parameters, of one kind each. */
  tensors(): Record<'firstMoments' | 'secondMoments' | 'steps' | 'stopped', Tensor[]> {
    return {
      firstMoments: this.#groups.flatMap((g) => g.firstMoments),
      secondMoments: this.#groups.flatMap((g) => g.secondMoments),
      steps: this.#groups.flatMap((g) => g.steps),
      stopped: this.#stopped ? [this.#stopped] : [],
    };
  }

  state(): OptimizerState {
    const raws = (tensors: Tensor[]) => tensors.map((t) => t.toRaw());
    return {
      step: this.#step,
      groups: this.#groups.map((g) => ({
        firstMoments: raws(g.firstMoments),
        secondMoments: raws(g.secondMoments),
        steps: raws(g.steps),
      })),
    };
  }

  /** @throws Error when the state belongs to other parameter groups. */
  loadState(state: OptimizerState): void {
    const counts = (groups: { firstMoments: unknown[] }[]) =>
      groups.map((g) => g.firstMoments.length).join(', ');
    if (counts(state.groups) !== counts(this.#groups))
      throw new Error(
        `Expected optimizer state for parameter groups of ${counts(this.#groups)} but received ${counts(state.groups)}; ` +
          'resume with the configuration that the run began with.',
      );
    const copy = (own: Tensor[], theirs: RawTensor[]) =>
      own.forEach((tensor, i) => {
        const source = Tensor.fromRaw(theirs[i]!);
        tensor.copy_(source);
        source.dispose();
      });
    this.#groups.forEach((g, i) => {
      copy(g.firstMoments, state.groups[i]!.firstMoments);
      copy(g.secondMoments, state.groups[i]!.secondMoments);
      copy(g.steps, state.groups[i]!.steps);
    });
    this.#step = state.step;
    this.#stopped?.fill_(0);
  }

  dispose(): void {
    for (const tensor of Object.values(this.tensors()).flat()) tensor.dispose();
    for (const { rate } of this.#groups) rate?.dispose();
  }
}
