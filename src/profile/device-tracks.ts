import { TorchError } from '../native/index.js';
import { type DeviceActivity, startDeviceRecord, stopDeviceRecord } from './device-record.js';
import { shortKernelName } from './kernel-name.js';
import type { Track } from './spans.js';
import type { Trace } from './trace.js';

/** Tracks of GPUs come after those of threads. A stream has a few, for what of it ran at the same time. */
const FIRST_TRACK = 1_000_000;
const STREAMS = 10_000;
const LANES = 8;

/** Activities of three iterations, and characters of a name. */
const MOST_ACTIVITIES = 200_000;
const MOST_NAME = 200;

/**
 * A track for each stream. Branches of a CUDA graph run side by side in one stream, and a viewer would take what overlaps
 * for nested: it goes to a second track of the stream, and so on.
 * @param activities by their start
 */
export function* placeOnTracks(
  activities: readonly DeviceActivity[],
): Generator<{ activity: DeviceActivity; track: Track }> {
  const ends = new Map<string, number[]>();
  for (const activity of activities) {
    const { device, stream, start, duration } = activity;
    const key = `GPU ${device}, stream ${stream}`;
    const lanes = ends.get(key) ?? [];
    ends.set(key, lanes);
    const free = lanes.findIndex((end) => end <= start);
    const lane = Math.min(free === -1 ? lanes.length : free, LANES - 1);
    lanes[lane] = start + duration;
    const id = FIRST_TRACK + (device * STREAMS + stream) * LANES + lane;
    yield { activity, track: { id, name: lane === 0 ? key : `${key} (${lane + 1})` } };
  }
}

/** The part of a profile that a device contributes: recorded as long as recorded iterations follow each other. */
export class DeviceTracks {
  #isRunning = false;
  /** Why activities are missing, in the words of who knows; undefined while nothing went wrong. */
  fault: string | undefined;

  constructor(
    readonly device: string,
    readonly trace: Trace,
  ) {}

  start(): void {
    if (this.#isRunning) return;
    this.#try(() => {
      startDeviceRecord(this.device, Math.min(MOST_ACTIVITIES, this.trace.room));
      this.#isRunning = true;
    });
  }

  /** Adds what was recorded to the trace. */
  stop(): void {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#try(() => {
      const { activities, dropped, fault } = stopDeviceRecord(this.device);
      this.fault ??= fault;
      this.trace.dropped += dropped;
      for (const { activity, track } of placeOnTracks(activities)) {
        const { kind, name, start, duration } = activity;
        const short = shortKernelName(name);
        // Whole names reach a thousand characters, and there are ten thousand of them a step.
        const args = short === name ? undefined : { kernel: name.slice(0, MOST_NAME) };
        this.trace.add(kind, short, start, start + duration, track, args);
      }
    });
  }

  /** A profile is no reason for a training to stop. */
  #try(body: () => void): void {
    try {
      body();
    } catch (error) {
      if (!(error instanceof TorchError)) throw error;
      this.fault ??= error.message;
    }
  }
}
