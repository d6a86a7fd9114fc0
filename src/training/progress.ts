import { SingleBar } from 'cli-progress';
import { calEta } from './eta.js';
import type { Logger } from './logging.js';

export interface ProgressOptions {
  /** What is being done: "Training", "Exporting maps". */
  label: string;
  /** Steps in all; the unit (iterations, images, files) is the caller's. */
  total: number;
  /** Steps done before this session, e.g. after a resume; they do not count for the pace. */
  done?: number;
  /** Its console lines go above the bar, and the plain lines go through it. */
  logger?: Logger;
  stream?: NodeJS.WritableStream & { isTTY?: boolean };
  /** No bar. Plain lines are the logger's to keep quiet. */
  quiet?: boolean;
  /** Least time between plain lines where there is no terminal; false when the caller writes its own. */
  plainEverySeconds?: number | false;
}

export interface ProgressReporter {
  /** @param details shown between count and ETA, e.g. "loss 0.4321" */
  update(done: number, details?: string): void;
  /** Takes the bar off the screen. The process cannot end before; may be called twice. */
  stop(): void;
}

/**
 * Shows how far a long job is: a bar on a terminal, elsewhere (a file, a pipe, a batch system) plain lines at
 * intervals and at the end, since a bar's control characters would only fill the log.
 */
export function createProgress(options: ProgressOptions): ProgressReporter {
  const { stream = process.stderr, quiet = false } = options;
  const isTerminal = stream.isTTY === true && process.env.TERM !== 'dumb';
  if (!isTerminal) return plainProgress(options, stream);
  return quiet ? { update() {}, stop() {} } : barProgress(options, stream);
}

/** Time left at this session's pace. */
function createEta({ total, done = 0 }: ProgressOptions): (now: number) => string {
  const startedAt = Date.now();
  return (current) => calEta(startedAt, current - done, total - done).eta;
}

function barProgress(options: ProgressOptions, stream: NodeJS.WritableStream): ProgressReporter {
  const { label, total, logger } = options;
  const eta = createEta(options);
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}% | {value}/{total} | {details}ETA {remaining}`,
    stream,
    barsize: 24,
    barCompleteChar: '=',
    barIncompleteChar: ' ',
    barGlue: '>',
    clearOnComplete: true,
    // Its own signal handlers would swallow Ctrl-C, which saves last.pth.
    gracefulExit: false,
    // True leaves the terminal's wrapping as it is (long bars are cut): a killed process must not leave it off.
    linewrap: true,
    emptyOnZero: true,
  });
  let value = options.done ?? 0;
  let payload = { details: '', remaining: eta(value) };
  let stopped = false;
  const show = () => bar.start(total, value, payload);
  // The bar returns to where it started when it stops: it has to start anew below every line that is logged.
  const detach = logger?.attach({ clear: () => bar.stop(), redraw: show });
  show();
  return {
    update(done, details) {
      if (stopped) return;
      value = done;
      payload = { details: details ? `${details} | ` : '', remaining: eta(done) };
      bar.update(value, payload);
    },
    stop() {
      stopped = true;
      detach?.();
      bar.stop();
    },
  };
}

function plainProgress(options: ProgressOptions, stream: NodeJS.WritableStream): ProgressReporter {
  const { label, total, logger, plainEverySeconds = 10 } = options;
  const eta = createEta(options);
  const write = logger
    ? (line: string) => logger.info('%s', line)
    : (line: string) => stream.write(`${line}\n`);
  let lastLine = Date.now();
  return {
    update(done, details) {
      if (plainEverySeconds === false) return;
      if (done < total && Date.now() - lastLine < plainEverySeconds * 1000) return;
      lastLine = Date.now();
      const percent = total > 0 ? Math.floor((100 * done) / total) : 100;
      write(`${label}: ${done}/${total} (${percent}%)${details ? ` ${details}` : ''}, ETA ${eta(done)}`);
    },
    stop() {},
  };
}
