import { native } from '../native/index.js';
import { microseconds } from './clock.js';
import { DeviceTracks } from './device-tracks.js';
import { type SpanSink, setSink, type Track } from './spans.js';
import { MAIN_TRACK, Trace } from './trace.js';

export interface ProfilerOptions {
  /** Gets the file whenever it has grown by a kind of work, and at the end. */
  write(json: string): void;
  /** What made it, for the file's head. */
  facts: Readonly<Record<string, unknown>>;
  /** Iterations of each kind that are not recorded: the first ones fill caches and allocator. Default 2. */
  warmup?: number;
  /** Iterations of each kind that are. Default 3. */
  iterations?: number;
  /** Whose kernels stand beside the host's operations. Default: no device's. */
  device?: string;
}

/** Operations of one iteration, and events of the file: some tens of MB. */
const MOST_OPERATIONS = 100_000;
const MOST_EVENTS = 400_000;

/** libtorch numbers its threads from 1; loader workers and the main thread come before them in the file. */
const LIBTORCH_TRACKS = 1000;

type FiveNumbers = [name: number, shapes: number, thread: number, start: number, duration: number];

interface Iteration {
  kind: string;
  facts: Readonly<Record<string, unknown>>;
  start: number;
}

/**
 * Records a run for Chrome's trace viewer or Perfetto: of every kind of iteration (a phase of training, validation,
 * export) a few after a warm-up, with their parts, libtorch's operations and what loader workers did meanwhile; of what
 * is rare (validations, checkpoints) all. One a process.
 */
export class Profiler implements SpanSink {
  readonly #options: Required<Omit<ProfilerOptions, 'device'>>;
  readonly #device: DeviceTracks | undefined;
  readonly #trace = new Trace(microseconds(), MOST_EVENTS);
  readonly #counts = new Map<string, number>();
  readonly #mainThread = native.currentThread();
  #present: Iteration | undefined;
  /** The kind of the iteration that was begun last and not ended, recorded or not. */
  #last: string | undefined;

  constructor(options: ProfilerOptions) {
    const { device, ...others } = options;
    this.#options = { warmup: 2, iterations: 3, ...others };
    this.#device = device === undefined ? undefined : new DeviceTracks(device, this.#trace);
    setSink(this);
  }

  get isOpen(): boolean {
    return this.#present !== undefined;
  }

  iteration(kind: string, facts: Readonly<Record<string, unknown>>): void {
    this.#close(true);
    const { warmup, iterations } = this.#options;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    this.#last = kind;
    if (count <= warmup || count > warmup + iterations) {
      this.#device?.stop();
      return;
    }
    // Goes on from one recorded iteration to the next: its end waits for the GPU, which a step does not.
    this.#device?.start();
    const limit = Math.min(MOST_OPERATIONS, this.#trace.room);
    native.recordOpsStart(limit, true);
    this.#present = { kind, facts: { ...facts, number: count }, start: microseconds() };
  }

  endIteration(whole: boolean): void {
    this.#close(whole);
    this.#device?.stop();
  }

  #close(whole: boolean): void {
    const last = this.#last;
    this.#last = undefined;
    if (!whole && last !== undefined) this.#counts.set(last, this.#counts.get(last)! - 1);
    if (!this.#present) return;
    const { kind, facts, start } = this.#present;
    if (whole) this.#trace.add('iteration', kind, start, microseconds(), MAIN_TRACK, facts);
    this.#present = undefined;
    this.#takeOperations();
    const { warmup, iterations } = this.#options;
    if (this.#counts.get(kind) !== warmup + iterations) return;
    this.#device?.stop();
    this.save();
  }

  timed<T>(name: string, body: () => T): T {
    const start = microseconds();
    const end = () => this.add(name, start, microseconds());
    let result: T;
    try {
      result = body();
    } catch (error) {
      end();
      throw error;
    }
    if (result instanceof Promise) return result.finally(end) as T;
    end();
    return result;
  }

  add(name: string, start: number, end: number, track: Track = MAIN_TRACK): void {
    this.#trace.add('span', name, start, end, track);
  }

  /** Ends the recording and writes the file. */
  finish(): void {
    setSink(undefined);
    this.endIteration(true);
    this.save();
  }

  /** Writes what there is so far. */
  save(): void {
    const { write, facts, warmup, iterations } = this.#options;
    const fault = this.#device?.fault;
    write(
      this.#trace.toJson({ ...facts, warmup, iterations, ...(fault && { withoutGpuActivities: fault }) }),
    );
  }

  #takeOperations(): void {
    const { names, events, dropped } = native.recordOpsStop();
    this.#trace.dropped += dropped;
    for (let i = 0; i < events.length; i += 5) {
      const [name, shapes, thread, start, duration] = [...events.subarray(i, i + 5)] as FiveNumbers;
      const isMain = thread === this.#mainThread;
      const track = isMain ? MAIN_TRACK : { id: LIBTORCH_TRACKS + thread, name: `libtorch thread ${thread}` };
      const args = shapes === -1 ? undefined : { shapes: names[shapes] };
      this.#trace.add('operation', names[name]!, start, start + duration, track, args);
    }
  }
}
