/** Learning (forward, losses, backward, update) as CUDA graphs: its shapes are a batch's, whichever images have a class. */
import type { WeTr } from '../models/wetr.js';
import type { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import {
  CudaGraph,
  type Device,
  getRngState,
  keep,
  noGrad,
  type RawTensor,
  type Recording,
  scope,
  setRngState,
  Tensor,
} from '../tensor/index.js';

/** Times that a shape is seen before it is recorded: an epoch's last, smaller batch never is. */
const SEEN_BEFORE = 3;
/** Phases and shapes; each keeps its activations. */
const MOST_GRAPHS = 6;

/**
 * Largest differences that are taken for rounding and atomics: of numbers, and of what the state changes by. AdamW moves a
 * weight whose gradient is nothing but rounding as far as any other.
 */
const NUMBER_TOLERANCE = 0.01;
const CHANGE_TOLERANCE = 0.2;

/** What the work changes, by kind: all tensors of a kind are compared as one. */
type State = Readonly<Record<string, readonly Tensor[]>>;

interface StepGraphsOptions {
  /** All that the work changes. */
  state(): State;
  create(): Recording;
  /** Whether a recording is sound, and worth while, for images [B, 3, H, W]. */
  pays(images: Tensor): boolean;
  /** Whether there is memory for one more. */
  fits(): boolean;
  warn(message: string): void;
}

interface Recorded {
  recording: Recording;
  inputs: Tensor[];
  output: Tensor;
}

/** Everything that a step changes, copied. */
interface Snapshot {
  tensors: Tensor[][];
  random: RawTensor;
}

/**
 * Runs the work of training steps as it is, and as a recording where a shape keeps coming. A recording is checked once
 * against the work itself, from the same state with the same random numbers; where it differs, or cannot be made, the work's
 * own result stays, `warn` hears of it, and nothing is recorded any more.
 */
export class StepGraphs {
  readonly #seen = new Map<string, number>();
  readonly #recorded = new Map<string, Recorded>();
  #failed = false;

  constructor(private readonly options: StepGraphsOptions) {}

  /** Shapes that are recorded. */
  get count(): number {
    return this.#recorded.size;
  }

  /**
   * @param key what inputs of equal shapes may differ in
   * @param inputs the first of them the images
   * @param body the work: changes the state in place, gives one tensor of numbers, and depends on nothing else that changes
   *   from call to call
   */
  run(key: string, inputs: readonly Tensor[], body: (inputs: readonly Tensor[]) => Tensor): Tensor {
    // Never again once a recording has failed, be it another one's: replays would draw the random numbers of before.
    if (this.#failed || !this.options.pays(inputs[0]!)) return body(inputs);
    const shape = `${key} ${inputs.map((input) => input.shape.join('x')).join(' ')}`;
    const recorded = this.#recorded.get(shape);
    if (recorded) return this.#replay(recorded, inputs);
    return this.#isDue(shape) ? this.#record(shape, inputs, body) : body(inputs);
  }

  dispose(): void {
    for (const { inputs, output, recording } of this.#recorded.values())
      for (const made of [...inputs, output, recording]) made.dispose();
    this.#recorded.clear();
  }

  #isDue(shape: string): boolean {
    if (this.#recorded.size === MOST_GRAPHS) return false;
    const seen = this.#seen.get(shape) ?? 0;
    this.#seen.set(shape, seen + 1);
    return seen === SEEN_BEFORE && this.options.fits();
  }

  /** A copy of the output, for the next replay writes to the same place. */
  #replay({ recording, inputs: own, output }: Recorded, inputs: readonly Tensor[]): Tensor {
    noGrad(() => {
      for (const [i, tensor] of own.entries()) tensor.copy_(inputs[i]!);
    });
    recording.replay();
    return output.clone();
  }

  #record(shape: string, inputs: readonly Tensor[], body: (inputs: readonly Tensor[]) => Tensor): Tensor {
    const recording = this.options.create();
    const own = inputs.map((input) => keep(input.clone()));
    return recording.aside(() =>
      scope(() => {
        const before = this.#snapshot();
        const expected = body(own);
        const after = this.#snapshot();
        try {
          this.#restore(before);
          const output = recording.record(() => body(own));
          recording.replay();
          this.#requireAgreement(expected, output, before, after);
          this.#recorded.set(shape, { recording, inputs: own, output: keep(output) });
          return output.clone();
        } catch (error) {
          this.#restore(after);
          for (const made of [...own, recording]) made.dispose();
          this.dispose();
          this.#failed = true;
          // The rest of CUDA's message is where to look its number up.
          const reason = (error as Error).message.split('\n', 1)[0];
          this.options.warn(`Training steps run without CUDA graphs: ${reason}`);
          return expected;
        }
      }),
    );
  }

  #snapshot(): Snapshot {
    const tensors = Object.values(this.options.state()).map((kind) =>
      kind.map((tensor) => tensor.detach().clone()),
    );
    return { tensors, random: getRngState() };
  }

  #restore({ tensors, random }: Snapshot): void {
    noGrad(() => {
      for (const [i, kind] of Object.values(this.options.state()).entries())
        for (const [j, tensor] of kind.entries()) tensor.copy_(tensors[i]![j]!);
    });
    setRngState(random);
  }

  /** @throws Error that names what the recording did otherwise than the work */
  #requireAgreement(expected: Tensor, output: Tensor, before: Snapshot, after: Snapshot): void {
    const [wanted, found] = [expected, output].map((numbers) =>
      Array.from(numbers.data() as ArrayLike<number>, Number),
    ) as [number[], number[]];
    if (wanted.some((number, i) => !near(number, found[i]!)))
      throw new Error(`Expected the numbers ${wanted} of a recorded step but received ${found}`);
    for (const [i, [kind, tensors]] of Object.entries(this.options.state()).entries()) {
      const change = distance(before.tensors[i]!, after.tensors[i]!);
      const difference = distance(tensors, after.tensors[i]!);
      if (!(difference <= CHANGE_TOLERANCE * change))
        throw new Error(
          `Expected a recorded step to change ${kind} by ${change} but they are ${difference} from what it should give`,
        );
    }
  }
}

/** Those of one model's training: the work changes its weights and statistics, and the optimizer's moments. */
export function stepGraphs(
  model: WeTr,
  optimizer: PolyWarmupAdamW,
  device: Device,
  warn: (message: string) => void,
): StepGraphs {
  const parameters = [...model.parameters().values()];
  const own = new Set(model.parameters().keys());
  const statistics = [...model.state()].filter(([name]) => !own.has(name)).map(([, tensor]) => tensor);
  const create = () => new CudaGraph(device, model.handle);
  const fits = () => CudaGraph.fits(device);
  const state = () => ({ weights: parameters, statistics, ...optimizer.tensors() });
  return new StepGraphs({ state, create, pays: CudaGraph.pays, fits, warn });
}

const near = (a: number, b: number): boolean =>
  Object.is(a, b) || Math.abs(a - b) <= NUMBER_TOLERANCE * Math.max(Math.abs(a), Math.abs(b));

/** Euclidean, over all elements. */
function distance(a: readonly Tensor[], b: readonly Tensor[]): number {
  return noGrad(() =>
    scope(() => {
      const squares = a.map((tensor, i) => tensor.sub(b[i]!).to({ dtype: 'float32' }).square().sum());
      return squares.length === 0 ? 0 : Math.sqrt(Tensor.stack(squares).sum().item());
    }),
  );
}
