import { expected } from '../config/errors.js';
import { type GroupHandle, native } from '../native/index.js';
import { Tensor } from '../tensor/index.js';
import { fromJsonBytes, toJsonBytes } from './json-tensors.js';

export type Backend = 'gloo' | 'nccl';
/** How ranks' tensors become one; `mean` of floats only. */
export type Reduction = 'sum' | 'mean' | 'max' | 'min';

/** What every process of a training must agree on, and which of them this one is. */
export interface InitOptions {
  /** gloo for tensors on the CPU; nccl for CUDA devices, with gloo beside it for the CPU. */
  backend: Backend;
  /**
   * Where the processes find each other; `isServer` on the one process that holds the store, rank 0 by default;
   * `prefix` of all keys, where a launcher's own store is used.
   */
  store: { host: string; port: number; isServer?: boolean; prefix?: string };
  rank: number;
  worldSize: number;
  /** Milliseconds after which a collective, and the meeting itself, gives up; 10 minutes by default. */
  timeout?: number;
}

export const DEFAULT_TIMEOUT = 10 * 60 * 1000;

const BACKENDS: readonly string[] = ['gloo', 'nccl'];

/** Whether this build has a backend; nccl also needs a CUDA device. */
export function isAvailable(backend: Backend): boolean {
  return native.backendAvailable(backend);
}

function integer(value: number, what: string, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`;
  throw new RangeError(expected(`an integer ${range}`, what, value));
}

/**
 * Joins the processes of one training; resolves once all of them have come.
 * @throws TorchError (ERR_DISTRIBUTED) that names the ranks that did not come, or what two processes contradict
 * each other in
 */
export async function init(options: InitOptions): Promise<ProcessGroup> {
  const { backend, store, rank, worldSize, timeout = DEFAULT_TIMEOUT } = options;
  if (!BACKENDS.includes(backend)) throw new RangeError(expected("'gloo' or 'nccl'", 'backend', backend));
  if (!isAvailable(backend))
    throw new RangeError(
      `Expected a backend that this build and machine have but received '${backend}'. ` +
        (backend === 'nccl' ? "Use 'gloo', or a CUDA build of libtorch on a machine with a GPU." : ''),
    );
  integer(worldSize, 'worldSize', 1);
  integer(rank, 'rank', 0, worldSize - 1);
  integer(store.port, 'store.port', 1, 65535);
  integer(timeout, 'timeout (milliseconds)', 1);
  const isServer = store.isServer ?? rank === 0;
  return new ProcessGroup(
    await native.init(
      backend,
      store.host,
      store.port,
      isServer,
      store.prefix ?? 'afa',
      rank,
      worldSize,
      timeout,
    ),
    backend,
    timeout,
  );
}

/**
 * Processes that work together, over libtorch's c10d. Every rank must make the same calls in the same order, with
 * tensors of one shape and dtype: that is compared before anything is sent, and a difference is named on every rank.
 * Calls are sent in the order in which they are made, whether awaited or not. Results are new tensors. After a lost
 * peer or a time-out a group is of no further use, and its error names the rank that was lost, with process and host:
 * every process tells the store twice a second that it lives, from a thread of its own.
 * @throws TorchError (ERR_DISTRIBUTED) with `op` and `rank` from every method
 */
export class ProcessGroup {
  readonly #handle: GroupHandle;
  /** This process within the group, from 0. */
  readonly rank: number;
  /** The members' ranks in the world, in the order of their ranks here. */
  readonly ranks: readonly number[];

  /** @internal */
  constructor(
    handle: GroupHandle,
    readonly backend: Backend,
    readonly timeout: number,
  ) {
    this.#handle = handle;
    this.rank = native.groupRank(handle);
    this.ranks = native.groupRanks(handle);
  }

  /** @internal For src/distributed/ddp.ts. */
  get handle(): GroupHandle {
    return this.#handle;
  }
  get size(): number {
    return this.ranks.length;
  }

  /** Elementwise over the ranks; every rank receives the result. */
  async allReduce(tensor: Tensor, reduction: Reduction = 'sum'): Promise<Tensor> {
    return new Tensor(await native.allReduce(this.#handle, Tensor.handle(tensor), reduction));
  }
  /** Rank `source`'s values on every rank; the others' tensor gives shape and dtype. */
  async broadcast(tensor: Tensor, source = 0): Promise<Tensor> {
    return new Tensor(await native.broadcast(this.#handle, Tensor.handle(tensor), source));
  }
  /** Every rank's tensor, by rank. */
  async allGather(tensor: Tensor): Promise<Tensor[]> {
    const handles = await native.allGather(this.#handle, Tensor.handle(tensor));
    return handles.map((handle) => new Tensor(handle));
  }
  /** Reduces [size * k, ...] over the ranks; rank r receives rows r * k to (r + 1) * k. */
  async reduceScatter(tensor: Tensor, reduction: Reduction = 'sum'): Promise<Tensor> {
    return new Tensor(await native.reduceScatter(this.#handle, Tensor.handle(tensor), reduction));
  }

  /** Every rank's value, by rank: anything that JSON carries. Lengths may differ. */
  async allGatherObject<T>(value: T): Promise<T[]> {
    const own = toJsonBytes(value);
    using length = Tensor.from(BigInt64Array.of(BigInt(own.length)));
    const lengths = (await this.allGather(length)).map((t) => {
      using one = t;
      return one.item();
    });
    const padded = new Uint8Array(Math.max(...lengths));
    padded.set(own);
    using bytes = Tensor.from(padded);
    return (await this.allGather(bytes)).map((t, rank) => {
      using one = t;
      return fromJsonBytes(one.data() as Uint8Array, lengths[rank]!) as T;
    });
  }

  /** Resolves once every rank has called it. */
  async barrier(): Promise<void> {
    await native.barrier(this.#handle);
  }
  /**
   * A barrier that knows who is missing: on rank 0 the error names every rank that did not come in time, on the
   * others it names rank 0.
   */
  async monitoredBarrier(timeout = this.timeout): Promise<void> {
    integer(timeout, 'timeout (milliseconds)', 1);
    await native.monitoredBarrier(this.#handle, timeout);
  }

  /** Says where this process is, as "iteration 812": others name it when this one is lost. */
  at(place: string): void {
    native.groupAt(this.#handle, place);
  }
  /**
   * Says that this process ends by a fault of its own; the others' errors then name rank and fault. The first fault of a
   * group stays. Blocks until they can have read it, a few seconds at most.
   */
  failed(fault: string): void {
    native.groupFailed(this.#handle, fault);
  }

  /**
   * A group of some ranks of this one. Every rank of this group must ask for it, members or not.
   * @returns undefined on a rank that is no member
   */
  async newGroup(ranks: readonly number[]): Promise<ProcessGroup | undefined> {
    if (ranks.length === 0) throw new RangeError(expected('at least one rank', 'ranks', ranks));
    for (const [i, rank] of ranks.entries()) {
      integer(rank, `ranks[${i}]`, 0, this.size - 1);
      if (ranks.indexOf(rank) !== i)
        throw new RangeError(`Expected each rank once but received ${rank} twice`);
    }
    const handle = await native.newGroup(this.#handle, ranks);
    return handle ? new ProcessGroup(handle, this.backend, this.timeout) : undefined;
  }

  /** Waits for what is under way and ends the group on this rank. A process may also exit without it. */
  async destroy(): Promise<void> {
    await native.destroyGroup(this.#handle);
  }
}
