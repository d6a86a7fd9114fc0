/**
 * Where code says what it does. Nothing is recorded, and nothing but a look at a variable is done, unless a profile
 * runs (`--profile`); this file does not load the addon, so that loader workers may import it.
 */

/** A thread of the trace that is not the main one. */
export interface Track {
  id: number;
  name: string;
}

/** What a running profile does with what it is told; see `Profiler`. */
export interface SpanSink {
  /** Whether the present iteration is one of those that are recorded in full. */
  readonly isOpen: boolean;
  iteration(kind: string, facts: Readonly<Record<string, unknown>>): void;
  endIteration(whole: boolean): void;
  timed<T>(name: string, body: () => T): T;
  add(name: string, start: number, end: number, track?: Track): void;
}

let sink: SpanSink | undefined;

/** Called by `Profiler` alone. */
export function setSink(next: SpanSink | undefined): void {
  sink = next;
}

/** Runs `body` as a part of the iteration, in a trace nested in what runs around it. */
export function span<T>(name: string, body: () => T): T {
  return sink?.isOpen ? sink.timed(name, body) : body();
}

/** As `span`, for what is rare and long (validation, checkpoints): recorded whenever a profile runs. */
export function stage<T>(name: string, body: () => T): T {
  return sink ? sink.timed(name, body) : body();
}

/** Tells of work on another thread that has ended, by its own clock (`microseconds`). */
export function elsewhere(name: string, start: number, end: number, track: Track): void {
  if (sink?.isOpen) sink.add(name, start, end, track);
}

/** Begins an iteration of a kind of work ('cls', 'validation', ...) and ends the one before. */
export function beginIteration(kind: string, facts: Readonly<Record<string, unknown>> = {}): void {
  sink?.iteration(kind, facts);
}

/**
 * Ends the iteration that was begun last, when no other follows it.
 * @param whole false for one that turned out to have no work: it is not counted
 */
export function endIteration(whole = true): void {
  sink?.endIteration(whole);
}
