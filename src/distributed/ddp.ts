import type { SharedBatch } from '../losses/index.js';
import type { Wanted, WeTr } from '../models/wetr.js';
import { native, type ReducerHandle } from '../native/index.js';
import { Tensor } from '../tensor/index.js';
import { checkSameModel } from './model-agreement.js';
import type { ProcessGroup } from './process-group.js';

export interface DdpOptions {
  /** Bytes of gradients that travel together; PyTorch's 25 MiB by default, 13.7 M parameters are three of them. */
  bucketBytes?: number;
  /** The first bucket is smaller, so that communication begins early in backward; 1 MiB by default. */
  firstBucketBytes?: number;
  /**
   * fp16: gradients travel as float16, half the bytes. Each is rounded to 11 bits, below 6e-8 to 0; above 65504 it
   * becomes infinite, which a step treats as any gradient that is not finite. Default none.
   */
  gradientCompression?: 'none' | 'fp16';
}

const MIB = 1 << 20;

/**
 * DistributedDataParallel for WeTr: every process holds the whole model and a share of the batch, gradients are
 * averaged by c10d's Reducer while backward runs, and the segmentation head's BatchNorm normalises over all shares.
 * Also the SharedBatch by which segmentation and affinity losses count over all processes. Its collectives run on
 * groups of its own, so those of others cannot come between them.
 */
export class Ddp implements SharedBatch {
  readonly #model: WeTr;
  readonly #gradients: ProcessGroup;
  readonly #statistics: ProcessGroup;
  readonly #options: Required<DdpOptions>;
  #reducer: { outputs: string; handle: ReducerHandle } | undefined;

  private constructor(
    model: WeTr,
    gradients: ProcessGroup,
    statistics: ProcessGroup,
    options: Required<DdpOptions>,
  ) {
    this.#model = model;
    this.#gradients = gradients;
    this.#statistics = statistics;
    this.#options = options;
  }

  /**
   * Checks that all processes hold the same kind of model, and gives all of them rank 0's parameters and buffers.
   * Every rank of the group must call it.
   * @throws ModelMismatch on every rank, naming the first difference
   */
  static async create(model: WeTr, group: ProcessGroup, options: DdpOptions = {}): Promise<Ddp> {
    await checkSameModel(model, group);
    await native.broadcastInto(group.handle, [...model.state().values()].map(Tensor.handle));
    const all = group.ranks.map((_, rank) => rank);
    const [gradients, statistics] = [(await group.newGroup(all))!, (await group.newGroup(all))!];
    native.syncBatchNorm(model.handle, statistics.handle);
    return new Ddp(model, gradients, statistics, {
      bucketBytes: 25 * MIB,
      firstBucketBytes: MIB,
      gradientCompression: 'none',
      ...options,
    });
  }

  get rank(): number {
    return this.#statistics.rank;
  }
  get processes(): number {
    return this.#statistics.size;
  }

  /** Sums over the processes. Waits for them: for use amid a step, where all of them are. */
  sum(tensor: Tensor): Tensor {
    return new Tensor(native.sumNow(this.#statistics.handle, Tensor.handle(tensor)));
  }

  /**
   * Whether what has been read of steps is what the processes exchanged. NCCL's calls only queue work for the GPU: one that a
   * lost process leaves hanging is given up later, and the numbers that came of it mean nothing.
   * @throws TorchError (ERR_DISTRIBUTED) that names who was lost
   */
  requireSound(): void {
    for (const group of [this.#gradients, this.#statistics]) native.requireSound(group.handle);
  }

  /**
   * Accumulates gradients averaged over the processes.
   * @param wanted the outputs that the loss is made of: parameters that they do not reach get no gradient, on any
   * rank, and are not sent
   * @param sync false accumulates locally; the next synchronised backward() averages all that has gathered
   */
  backward(loss: Tensor, wanted: Wanted, { sync = true } = {}): void {
    if (sync) native.reducerBackward(this.#reducerFor(wanted), Tensor.handle(loss));
    else loss.backward();
  }

  /** Gives the model back to this process alone and ends the groups. Every rank should call it. */
  async dispose(): Promise<void> {
    if (this.#reducer) native.reducerDispose(this.#reducer.handle);
    this.#reducer = undefined;
    native.syncBatchNorm(this.#model.handle, null);
    await Promise.all([this.#gradients.destroy(), this.#statistics.destroy()]);
  }

  // Which parameters have gradients changes with the phases of a training alone, so each phase has a reducer of
  // exactly those: cheaper than searching the graph for unused ones at every step.
  #reducerFor({ cls = false, seg = false, affinity = false }: Wanted): ReducerHandle {
    const outputs = [cls, seg, affinity].join();
    if (this.#reducer?.outputs === outputs) return this.#reducer.handle;
    if (this.#reducer) native.reducerDispose(this.#reducer.handle);
    this.#reducer = undefined;
    const parameters = this.#model.trainableFor({ cls, seg, affinity });
    const { bucketBytes, firstBucketBytes, gradientCompression } = this.#options;
    const handle = native.reducerCreate(
      this.#gradients.handle,
      [...parameters.values()].map(Tensor.handle),
      [...parameters.keys()],
      bucketBytes,
      firstBucketBytes,
      gradientCompression === 'fp16',
    );
    this.#reducer = { outputs, handle };
    return handle;
  }
}
