import type { Track } from './spans.js';

/** An event of Chrome's trace format: complete ('X') or naming a thread ('M'). Times in microseconds. */
export interface TraceEvent {
  name: string;
  ph: 'X' | 'M';
  pid: number;
  tid: number;
  ts?: number;
  dur?: number;
  cat?: string;
  args?: Readonly<Record<string, unknown>>;
}

export const MAIN_TRACK: Track = { id: 1, name: 'main' };

/** Events in the order they ended, at most `limit`, as Perfetto and chrome://tracing read them. */
export class Trace {
  readonly #events: TraceEvent[] = [];
  readonly #tracks = new Map<number, string>();
  /** Events that found no place. */
  dropped = 0;

  constructor(
    readonly origin: number,
    readonly limit: number,
  ) {
    this.#tracks.set(MAIN_TRACK.id, MAIN_TRACK.name);
  }

  /** How many more events there is room for. */
  get room(): number {
    return this.limit - this.#events.length;
  }

  /** @param start @param end of the monotonic clock, microseconds */
  add(
    cat: string,
    name: string,
    start: number,
    end: number,
    { id, name: track }: Track = MAIN_TRACK,
    args?: TraceEvent['args'],
  ): void {
    if (this.room === 0) {
      this.dropped += 1;
      return;
    }
    this.#tracks.set(id, track);
    const place = { pid: process.pid, tid: id };
    this.#events.push({ name, cat, ph: 'X', ...place, ts: start - this.origin, dur: end - start, args });
  }

  /** The file. @param facts what made it, shown by Perfetto beside the trace */
  toJson(facts: Readonly<Record<string, unknown>>): string {
    const names = [...this.#tracks].map(
      ([tid, name]): TraceEvent => ({ name: 'thread_name', ph: 'M', pid: process.pid, tid, args: { name } }),
    );
    const otherData = { ...facts, ...(this.dropped > 0 && { eventsWithoutPlace: this.dropped }) };
    // An event a line: a file of a hundred thousand stays readable, and no string holds it twice.
    const lines = [...names, ...this.#events].map((event) => JSON.stringify(event));
    return `{"displayTimeUnit":"ms","otherData":${JSON.stringify(otherData)},"traceEvents":[\n${lines.join(',\n')}\n]}\n`;
  }
}
