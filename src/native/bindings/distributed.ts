/** native/distributed: processes that train together. */
import type { GroupHandle, Ints, ReducerHandle, TensorHandle, WeTrHandle } from './handles.js';
import { takes } from './signature.js';

export const DISTRIBUTED = {
  backendAvailable: takes<(backend: string) => boolean>(1),
  init: takes<
    (
      backend: string,
      host: string,
      port: number,
      isServer: boolean,
      prefix: string,
      rank: number,
      worldSize: number,
      timeout: number,
    ) => Promise<GroupHandle>
  >(8),
  /** Null on a rank that is no member. */
  newGroup: takes<(group: GroupHandle, ranks: Ints) => Promise<GroupHandle | null>>(2),
  destroyGroup: takes<(group: GroupHandle) => Promise<void>>(1),
  groupRank: takes<(group: GroupHandle) => number>(1),
  groupRanks: takes<(group: GroupHandle) => number[]>(1),
  groupAt: takes<(group: GroupHandle, place: string) => void>(2),
  groupFailed: takes<(group: GroupHandle, fault: string) => void>(2),
  allReduce: takes<(group: GroupHandle, tensor: TensorHandle, reduction: string) => Promise<TensorHandle>>(3),
  broadcast: takes<(group: GroupHandle, tensor: TensorHandle, source: number) => Promise<TensorHandle>>(3),
  allGather: takes<(group: GroupHandle, tensor: TensorHandle) => Promise<TensorHandle[]>>(2),
  reduceScatter:
    takes<(group: GroupHandle, tensor: TensorHandle, reduction: string) => Promise<TensorHandle>>(3),
  barrier: takes<(group: GroupHandle) => Promise<void>>(1),
  monitoredBarrier: takes<(group: GroupHandle, timeout: number) => Promise<void>>(2),
  /** Overwrites the tensors with rank 0's. */
  broadcastInto: takes<(group: GroupHandle, tensors: readonly TensorHandle[]) => Promise<void>>(2),
  /** Sums over the ranks, waiting: for use amid a training step. */
  sumNow: takes<(group: GroupHandle, tensor: TensorHandle) => TensorHandle>(2),
  /** Throws where NCCL has given up a call of the group. */
  requireSound: takes<(group: GroupHandle) => void>(1),

  reducerCreate:
    takes<
      (
        group: GroupHandle,
        parameters: readonly TensorHandle[],
        names: readonly string[],
        bucketBytes: number,
        firstBucketBytes: number,
        half: boolean,
      ) => ReducerHandle
    >(6),
  reducerBackward: takes<(reducer: ReducerHandle, loss: TensorHandle) => void>(2),
  reducerBucketCount: takes<(reducer: ReducerHandle) => number>(1),
  reducerDispose: takes<(reducer: ReducerHandle) => void>(1),
  /** Null gives BatchNorm back to this process alone. */
  syncBatchNorm: takes<(model: WeTrHandle, group: GroupHandle | null) => void>(2),
};
