/** native/system.cc, native/profile: the process, devices, random numbers, and what is recorded of the work. */
import type { TensorHandle } from './handles.js';
import { takes } from './signature.js';

export const SYSTEM = {
  initialize: takes<(errorClass: unknown) => void>(1),
  buildInfo: takes<() => BuildInfo>(0),
  /** Null where the addon was built without CUDA's headers. */
  cudaStatus: takes<() => CudaStatus | null>(0),
  /** hostReads: how often values were read into JavaScript, for which a GPU is waited for. */
  memory:
    takes<
      () => {
        liveTensors: number;
        liveBytes: number;
        hostReads: number;
        pooledBytes: number;
        idleBytes: number;
      }
    >(0),
  /** Whether new tensors belong to a scope, which frees them: V8 is not told of their memory. */
  setScoped: takes<(value: boolean) => void>(1),
  emptyCache: takes<() => void>(0),
  /** Waits for the asynchronous job under way and drops those that wait: for the process's exit. */
  finishJobs: takes<() => void>(0),
  deviceAvailable: takes<(device: string) => boolean>(1),
  setNumThreads: takes<(threads: number) => void>(1),
  getNumThreads: takes<() => number>(0),
  /** Refuses operations without a deterministic form, from now on and in all threads. */
  setDeterministic: takes<(value: boolean) => void>(1),
  isDeterministic: takes<() => boolean>(0),
  /** On CUDA: whether cuDNN's algorithms are timed for each new shape. */
  setConvolutionTiming: takes<(value: boolean) => void>(1),
  timesConvolutions: takes<() => boolean>(0),
  manualSeed: takes<(seed: number) => void>(1),
  getRngState: takes<() => TensorHandle>(0),
  setRngState: takes<(state: TensorHandle) => void>(1),
  /** Most bytes of tensors on the current GPU since the last reset, and held for them; absent without CUDA. */
  gpuMemory: takes<(reset: boolean) => { allocatedPeak?: number; reservedPeak?: number }>(1),

  /** Records libtorch's operations in all threads, at most `limit` of them. */
  recordOpsStart: takes<(limit: number, shapes: boolean) => void>(2),
  recordOpsStop: takes<() => RecordedOps>(0),
  /** Records what a device does ('cpu': libtorch's operations), at most `limit` activities; ended by the same thread. */
  recordDeviceStart: takes<(device: string, limit: number) => void>(2),
  recordDeviceStop: takes<() => RecordedActivities>(0),
  /** libtorch's number of the calling thread. */
  currentThread: takes<() => number>(0),
};

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
