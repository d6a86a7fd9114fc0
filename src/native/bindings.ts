/** The addon's functions, as native/**\/*.cc registers them. Only src/native, src/tensor and their like call these. */

declare const kind: unique symbol;
/** A native object: opaque, made and checked by the addon. */
export type TensorHandle = { readonly [kind]: 'tensor' };
export type WeTrHandle = { readonly [kind]: 'wetr' };
export type GroupHandle = { readonly [kind]: 'processGroup' };
export type DownloadHandle = { readonly [kind]: 'download' };
export type CudaGraphHandle = { readonly [kind]: 'cudaGraph' };
export type ReducerHandle = { readonly [kind]: 'gradientReducer' };

/** A tensor, or a number that takes part in type promotion as Python's numbers do. */
export type Operand = TensorHandle | number;
type Ints = readonly number[];
type Unary = (self: TensorHandle) => TensorHandle;
type Binary = (self: TensorHandle, other: Operand) => TensorHandle;
type Reduce = (self: TensorHandle, dims: Ints | undefined, keepdim: boolean) => TensorHandle;
/** rgb uint8 [H, W, 3] and probabilities [C, H, W] to marginals [C, H, W]. */
export type DenseCrf<R> = (
  rgb: TensorHandle,
  probabilities: TensorHandle,
  iterations: number,
  posW: number,
  posXyStd: number,
  biW: number,
  biXyStd: number,
  biRgbStd: number,
) => R;

export interface Bindings {
  initialize(errorClass: unknown): void;
  buildInfo(): BuildInfo;
  /** Null where the addon was built without CUDA's headers. */
  cudaStatus(): CudaStatus | null;
  /** hostReads: how often values were read into JavaScript, for which a GPU is waited for. */
  memory(): {
    liveTensors: number;
    liveBytes: number;
    hostReads: number;
    pooledBytes: number;
    idleBytes: number;
  };
  emptyCache(): void;
  /** A file's pages as memory, until unmapFile(). Not on Windows. */
  mapFile?(path: string): ArrayBuffer;
  unmapFile?(buffer: ArrayBuffer): void;
  /** Waits for the asynchronous job under way and drops those that wait: for the process's exit. */
  finishJobs(): void;
  deviceAvailable(device: string): boolean;
  setNumThreads(threads: number): void;
  getNumThreads(): number;
  /** Refuses operations without a deterministic form, from now on and in all threads. */
  setDeterministic(value: boolean): void;
  isDeterministic(): boolean;
  /** On CUDA: whether cuDNN's algorithms are timed for each new shape. */
  setConvolutionTiming(value: boolean): void;
  timesConvolutions(): boolean;
  /** Records libtorch's operations in all threads, at most `limit` of them. */
  recordOpsStart(limit: number, shapes: boolean): void;
  recordOpsStop(): RecordedOps;
  /** Records what a device does ('cpu': libtorch's operations), at most `limit` activities; ended by the same thread. */
  recordDeviceStart(device: string, limit: number): void;
  recordDeviceStop(): RecordedActivities;
  /** libtorch's number of the calling thread. */
  currentThread(): number;
  manualSeed(seed: number): void;
  getRngState(): TensorHandle;
  setRngState(state: TensorHandle): void;

  /** To a GPU through pinned memory, on a stream of its own. */
  fromTypedArray(data: ArrayBufferView, shape: Ints, dtype: number, device?: string): TensorHandle;
  /** Bytes [B, H, W, 1 or 3], mirrored where [B] says so, through a table [3, 256] to float32 [B, 3, H, W] on `device`. */
  normalizeBytes(
    data: Uint8Array,
    shape: Ints,
    mirrored: Uint8Array,
    table: Float32Array,
    device: string,
  ): TensorHandle;
  /** Most bytes of tensors on the current GPU since the last reset, and held for them; absent without CUDA. */
  gpuMemory(reset: boolean): { allocatedPeak?: number; reservedPeak?: number };
  /** Begins to copy a tensor's values, as they will be once all queued work is done, to the host. */
  download(self: TensorHandle): DownloadHandle;
  /** Waits for that copy, but not for work queued after it. */
  downloadTake(download: DownloadHandle): TensorHandle;

  /** Whether work on images [B, 3, H, W] is worth a CUDA graph. */
  graphsPay(images: TensorHandle): boolean;
  /** @param beside a graph whose memory it shares */
  cudaGraphCreate(device: string, beside: CudaGraphHandle | undefined): CudaGraphHandle;
  /** Between enter and leave this thread computes on the stream for graphs; between begin and end into the graph. */
  cudaGraphEnter(graph: CudaGraphHandle): void;
  cudaGraphLeave(graph: CudaGraphHandle): void;
  cudaGraphBegin(graph: CudaGraphHandle): void;
  cudaGraphEnd(graph: CudaGraphHandle): void;
  /** In place of end, when what was to be recorded has thrown. */
  cudaGraphAbandon(graph: CudaGraphHandle): void;
  cudaGraphReplay(graph: CudaGraphHandle): void;
  toArrayBuffer(self: TensorHandle): ArrayBuffer;
  item(self: TensorHandle): number;
  full(shape: Ints, value: number, dtype: number, device: string): TensorHandle;
  arange(start: number, end: number, step: number, dtype: number): TensorHandle;
  rand(shape: Ints, dtype: number): TensorHandle;
  randn(shape: Ints, dtype: number): TensorHandle;
  to(self: TensorHandle, dtype: number | undefined, device: string | undefined): TensorHandle;
  shape(self: TensorHandle): number[];
  dtype(self: TensorHandle): number;
  device(self: TensorHandle): string;
  isDisposed(self: TensorHandle): boolean;
  /** A handle that is disposed of for ever. */
  disposedHandle(): TensorHandle;
  /** Frees the tensor. The handle may come back as that of another one: forget it. */
  dispose(self: TensorHandle): void;

  add: Binary;
  sub: Binary;
  mul: Binary;
  div: Binary;
  pow: Binary;
  maximum: Binary;
  minimum: Binary;
  neg: Unary;
  abs: Unary;
  exp: Unary;
  log: Unary;
  sqrt: Unary;
  square: Unary;
  tanh: Unary;
  sigmoid: Unary;
  relu: Unary;
  gelu: Unary;
  floor: Unary;
  round: Unary;
  clamp(self: TensorHandle, min: number | undefined, max: number | undefined): TensorHandle;
  eq: Binary;
  ne: Binary;
  lt: Binary;
  le: Binary;
  gt: Binary;
  ge: Binary;
  logicalAnd(self: TensorHandle, other: TensorHandle): TensorHandle;
  logicalOr(self: TensorHandle, other: TensorHandle): TensorHandle;
  logicalNot: Unary;
  isfinite: Unary;
  where(condition: TensorHandle, self: Operand, other: Operand): TensorHandle;
  maskedFill(self: TensorHandle, mask: TensorHandle, value: number): TensorHandle;
  add_(self: TensorHandle, other: Operand): void;
  mul_(self: TensorHandle, other: Operand): void;
  fill_(self: TensorHandle, value: number): void;
  copy_(self: TensorHandle, source: TensorHandle): void;

  sum: Reduce;
  mean: Reduce;
  std: Reduce;
  amax: Reduce;
  amin: Reduce;
  maxDim(self: TensorHandle, dim: number, keepdim: boolean): [TensorHandle, TensorHandle];
  argmax(self: TensorHandle, dim: number | undefined, keepdim: boolean): TensorHandle;
  all: Unary;
  any: Unary;
  norm: Unary;
  softmax(self: TensorHandle, dim: number): TensorHandle;
  logSoftmax(self: TensorHandle, dim: number): TensorHandle;
  cumsum(self: TensorHandle, dim: number): TensorHandle;
  allclose(self: TensorHandle, other: TensorHandle, rtol: number, atol: number): boolean;

  reshape(self: TensorHandle, shape: Ints): TensorHandle;
  view(self: TensorHandle, shape: Ints): TensorHandle;
  permute(self: TensorHandle, dims: Ints): TensorHandle;
  transpose(self: TensorHandle, dim0: number, dim1: number): TensorHandle;
  squeeze(self: TensorHandle, dim: number): TensorHandle;
  unsqueeze(self: TensorHandle, dim: number): TensorHandle;
  expand(self: TensorHandle, shape: Ints): TensorHandle;
  repeat(self: TensorHandle, repeats: Ints): TensorHandle;
  flip(self: TensorHandle, dims: Ints): TensorHandle;
  cat(tensors: readonly TensorHandle[], dim: number): TensorHandle;
  stack(tensors: readonly TensorHandle[], dim: number): TensorHandle;
  narrow(self: TensorHandle, dim: number, start: number, length: number): TensorHandle;
  select(self: TensorHandle, dim: number, index: number): TensorHandle;
  indexSelect(self: TensorHandle, dim: number, index: TensorHandle): TensorHandle;
  gather(self: TensorHandle, dim: number, index: TensorHandle): TensorHandle;
  contiguous: Unary;
  clone: Unary;

  matmul(self: TensorHandle, other: TensorHandle): TensorHandle;
  linear(input: TensorHandle, weight: TensorHandle, bias?: TensorHandle): TensorHandle;
  conv2d(
    input: TensorHandle,
    weight: TensorHandle,
    bias: TensorHandle | undefined,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: number,
  ): TensorHandle;
  layerNorm(input: TensorHandle, weight: TensorHandle, bias: TensorHandle, eps: number): TensorHandle;
  crossEntropy(
    input: TensorHandle,
    target: TensorHandle,
    ignoreIndex: number,
    reduction: 'mean' | 'sum' | 'none',
  ): TensorHandle;
  binaryCrossEntropyWithLogits(
    input: TensorHandle,
    target: TensorHandle,
    posWeight?: TensorHandle,
  ): TensorHandle;
  interpolate(
    self: TensorHandle,
    size: Ints,
    mode: 'bilinear' | 'nearest',
    alignCorners: boolean,
  ): TensorHandle;
  adaptiveMaxPool2d(self: TensorHandle, size: Ints): TensorHandle;
  adaptiveAvgPool2d(self: TensorHandle, size: Ints): TensorHandle;
  pad(
    self: TensorHandle,
    padding: Ints,
    mode: 'constant' | 'replicate' | 'reflect',
    value: number,
  ): TensorHandle;

  backward(self: TensorHandle, gradient?: TensorHandle): void;
  grad(self: TensorHandle): TensorHandle | null;
  clearGrad(self: TensorHandle): void;
  clearGrads(parameters: readonly TensorHandle[]): void;
  requiresGrad(self: TensorHandle): boolean;
  setRequiresGrad(self: TensorHandle, value: boolean): void;
  detach: Unary;
  isGradEnabled(): boolean;
  setGradEnabled(value: boolean): void;

  wetrCreate(
    embedDims: Ints,
    depths: Ints,
    stride: Ints,
    dropPath: number,
    numClasses: number,
    embeddingDim: number,
    maxPooling: boolean,
    headDropout: number,
    bfloat16: boolean,
    cudaGraphs: boolean,
  ): WeTrHandle;
  wetrParameterNames(model: WeTrHandle): string[];
  wetrParameters(model: WeTrHandle): TensorHandle[];
  wetrStateNames(model: WeTrHandle): string[];
  wetrState(model: WeTrHandle): TensorHandle[];
  wetrTo(model: WeTrHandle, device: string): void;
  wetrTrain(model: WeTrHandle, training: boolean): void;
  wetrFeatures(model: WeTrHandle, image: TensorHandle): TensorHandle[];
  wetrForward(
    model: WeTrHandle,
    image: TensorHandle,
    cls: boolean,
    seg: boolean,
    cam: boolean,
    affinity: boolean,
    attention: boolean,
    segDetach: boolean,
  ): [
    cls: TensorHandle | null,
    seg: TensorHandle | null,
    cam: TensorHandle | null,
    affinity: TensorHandle | null,
    attention: TensorHandle[],
  ];
  wetrDispose(model: WeTrHandle): void;
  /** graphFault: why passes run without CUDA graphs from now on, said once; else empty. */
  multiScaleCam(
    model: WeTrHandle,
    images: TensorHandle,
    scales: readonly number[],
    affinity: boolean,
    flippedAffinity: boolean,
    chunk: number,
    scaleOne?: TensorHandle,
  ): [
    cam: TensorHandle,
    affinity: TensorHandle | null,
    gridHeight: number,
    gridWidth: number,
    graphFault: string,
  ];
  predictAsync(
    model: WeTrHandle,
    images: TensorHandle,
    scales: readonly number[],
    chunk: number,
  ): Promise<[cls: TensorHandle, seg: TensorHandle, cam: TensorHandle, graphFault: string]>;
  pixelAdaptiveRefine(
    images: TensorHandle,
    masks: TensorHandle,
    dilations: Ints,
    iterations: number,
  ): TensorHandle;
  refineInBoxes(
    images: TensorHandle,
    masks: TensorHandle,
    boxes: TensorHandle,
    dilations: Ints,
    iterations: number,
  ): TensorHandle;
  boxMask(boxes: TensorHandle, height: number, width: number, device: string): TensorHandle;
  affinityLabel(
    label: TensorHandle,
    height: number,
    width: number,
    near: TensorHandle,
    ignoreIndex: number,
  ): TensorHandle;
  affinitySums(
    affinity: TensorHandle,
    label: TensorHandle,
  ): [same: TensorHandle, different: TensorHandle, counts: TensorHandle];
  randomWalk(
    affinity: TensorHandle,
    scores: TensorHandle,
    near: TensorHandle,
    width: number,
    radius: number,
  ): TensorHandle;
  denseCrf: DenseCrf<TensorHandle>;
  denseCrfAsync: DenseCrf<Promise<TensorHandle>>;
  adamwStep(
    parameters: readonly TensorHandle[],
    firstMoments: readonly TensorHandle[],
    secondMoments: readonly TensorHandle[],
    steps: readonly TensorHandle[],
    learningRate: number,
    /** float32 []: read on the device in place of learningRate. */
    rate: TensorHandle | undefined,
    beta1: number,
    beta2: number,
    weightDecay: number,
    eps: number,
    foundInf: TensorHandle | undefined,
  ): void;
  /** float32 [1]: 1 where the loss or a gradient holds a NaN or an infinity, else 0; nothing is read back. */
  findNonFinite(parameters: readonly TensorHandle[], loss: TensorHandle): TensorHandle;

  backendAvailable(backend: string): boolean;
  init(
    backend: string,
    host: string,
    port: number,
    isServer: boolean,
    prefix: string,
    rank: number,
    worldSize: number,
    timeout: number,
  ): Promise<GroupHandle>;
  /** Null on a rank that is no member. */
  newGroup(group: GroupHandle, ranks: Ints): Promise<GroupHandle | null>;
  destroyGroup(group: GroupHandle): Promise<void>;
  groupRank(group: GroupHandle): number;
  groupRanks(group: GroupHandle): number[];
  groupAt(group: GroupHandle, place: string): void;
  groupFailed(group: GroupHandle, fault: string): void;
  allReduce(group: GroupHandle, tensor: TensorHandle, reduction: string): Promise<TensorHandle>;
  broadcast(group: GroupHandle, tensor: TensorHandle, source: number): Promise<TensorHandle>;
  allGather(group: GroupHandle, tensor: TensorHandle): Promise<TensorHandle[]>;
  reduceScatter(group: GroupHandle, tensor: TensorHandle, reduction: string): Promise<TensorHandle>;
  barrier(group: GroupHandle): Promise<void>;
  monitoredBarrier(group: GroupHandle, timeout: number): Promise<void>;
  /** Overwrites the tensors with rank 0's. */
  broadcastInto(group: GroupHandle, tensors: readonly TensorHandle[]): Promise<void>;
  /** Sums over the ranks, waiting: for use amid a training step. */
  sumNow(group: GroupHandle, tensor: TensorHandle): TensorHandle;
  /** Throws where NCCL has given up a call of the group. */
  requireSound(group: GroupHandle): void;
  reducerCreate(
    group: GroupHandle,
    parameters: readonly TensorHandle[],
    names: readonly string[],
    bucketBytes: number,
    firstBucketBytes: number,
    half: boolean,
  ): ReducerHandle;
  reducerBackward(reducer: ReducerHandle, loss: TensorHandle): void;
  reducerBucketCount(reducer: ReducerHandle): number;
  reducerDispose(reducer: ReducerHandle): void;
  /** Null gives BatchNorm back to this process alone. */
  syncBatchNorm(model: WeTrHandle, group: GroupHandle | null): void;
}

export interface RecordedOps {
  /** Names and shapes that `events` refers to. */
  names: string[];
  /** Five numbers an event: name, shapes (-1: none), thread, start and duration (microseconds, monotonic clock). */
  events: Float64Array;
  /** How many found no place. */
  dropped: number;
}

export interface RecordedActivities {
  names: string[];
  /**
   * Six numbers an activity, by start: name, kind (0 kernel or operation, 1 copy, 2 fill), GPU, stream (CPU: thread), start
   * and duration (microseconds, monotonic clock).
   */
  events: Float64Array;
  /** How many found no place. */
  dropped: number;
}

export interface BuildInfo {
  torchVersion: string;
  /** libtorch was built with CUDA (a device may still be absent). */
  cudaLibrary: boolean;
  /** Null for a CPU libtorch. */
  cuda: CudaBuild | null;
  mpsLibrary: boolean;
  parallel: string;
  cpuCapability: string;
  mkldnn: boolean;
}

/** Compute capabilities are as `9.0`, or `9.0+PTX` where newer GPUs can have it compiled for them. */
export interface CudaBuild {
  /** CUDA release that libtorch was built with, e.g. `13.0`. */
  version: string;
  libraryArchitectures: string[];
  /** Of this package's own kernels; empty where they were left out. */
  kernelArchitectures: string[];
  /** Null where the addon was built without NCCL. */
  nccl: string | null;
}

export interface CudaStatus {
  /** Newest CUDA release that the driver runs, e.g. `13.0`; null without a driver. */
  driver: string | null;
  error: { code: string; message: string } | null;
  devices: { name: string; computeCapability: string; memoryBytes: number }[];
}
