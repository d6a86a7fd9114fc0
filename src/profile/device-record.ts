import { native, TorchError } from '../native/index.js';

/** What a GPU did: a kernel, a copy to, from or within it, or a fill. */
export interface DeviceActivity {
  /** Demangled, with template arguments and parameters. */
  name: string;
  kind: 'kernel' | 'copy' | 'fill';
  /** Of the GPU, and CUDA's of the stream: several streams compute at the same time. */
  device: number;
  stream: number;
  /** Microseconds of the monotonic clock, which is process.hrtime()'s. */
  start: number;
  /** Microseconds. */
  duration: number;
}

export interface DeviceRecord {
  /** By their start. */
  activities: DeviceActivity[];
  /** How many found no place. */
  dropped: number;
  /** Why there are none although a GPU was asked for. */
  fault?: string;
}

const KINDS = ['kernel', 'copy', 'fill'] as const;
const MOST_ACTIVITIES = 1_000_000;

/** What else may hold CUPTI, of which NVIDIA allows one user a process. */
function whyNothing(): string {
  const set = ['CUDA_INJECTION64_PATH', 'NVTX_INJECTION64_PATH'].filter((name) => process.env[name]);
  const tool =
    set.length > 0
      ? `the tool that ${set.join(' and ')} ${set.length === 1 ? 'names' : 'name'}`
      : 'another tool (nsys, ncu, compute-sanitizer)';
  return (
    `no kernel was recorded: ${tool} may hold CUPTI, which has one user a process, or this libtorch was built without it, ` +
    'or the driver forbids it. Run without the tool and with KINETO_LOG_LEVEL=0, which says more'
  );
}

/**
 * Begins to record what a device does, on all its streams, launched by any thread or CUDA graph; what was queued before is
 * waited for. Where a GPU was never recorded before, NVIDIA's CUPTI is loaded first, which takes up to seconds.
 * @param device 'cuda'; for 'cpu' libtorch's operations are recorded, nested, and `stream` is the thread's number
 * @throws TorchError where another record runs: a process has one at a time
 */
export function startDeviceRecord(device: string, limit = MOST_ACTIVITIES): void {
  native.recordDeviceStart(device, limit);
}

/**
 * Waits for the device and ends the record.
 * @throws TorchError where none runs, or another thread began it, or the GPU has failed
 */
export function stopDeviceRecord(device: string): DeviceRecord {
  const { names, events, dropped } = native.recordDeviceStop();
  const activities = Array.from({ length: events.length / 6 }, (_, i): DeviceActivity => {
    const [name, kind, gpu, stream, start, duration] = events.subarray(6 * i, 6 * i + 6);
    return {
      name: names[name!]!,
      kind: KINDS[kind!]!,
      device: gpu!,
      stream: stream!,
      start: start!,
      duration: duration!,
    };
  });
  const fault = device.startsWith('cuda') && activities.length === 0 ? whyNothing() : undefined;
  return { activities, dropped, ...(fault && { fault }) };
}

/** What a device does for `body`; a record that cannot begin is a fault, and `body` runs all the same. */
export function recordDevice(device: string, body: () => void): DeviceRecord {
  try {
    startDeviceRecord(device);
  } catch (error) {
    if (!(error instanceof TorchError)) throw error;
    body();
    return { activities: [], dropped: 0, fault: error.message };
  }
  try {
    body();
  } catch (error) {
    // The fault of body is the one to tell; a GPU that failed in it fails here once more.
    try {
      stopDeviceRecord(device);
    } catch {}
    throw error;
  }
  return stopDeviceRecord(device);
}
