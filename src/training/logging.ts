import { closeSync, openSync, writeSync } from 'node:fs';
import { format } from 'node:util';
import { fileAccessError } from '../io/file-error.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
/** Python's level names, so that tools that read the original's logs read ours. */
const LEVEL_NAMES: Record<LogLevel, string> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
};

export interface LoggerOptions {
  /** Nothing on the console: another process speaks for this one. The file still gets everything. */
  silent?: boolean;
  /** The console shows warnings and errors only; the file still gets everything. */
  quiet?: boolean;
  /** Debug messages too, on the console (unless quiet) and in the file. */
  verbose?: boolean;
  /** Where the console lines go: standard error, because standard output belongs to `--json`. */
  stream?: NodeJS.WritableStream;
}

/** What occupies the last line of the console, e.g. a progress bar. */
export interface StatusLine {
  /** Takes itself off the screen, the cursor at the start of the freed line. */
  clear(): void;
  /** Comes back below what was written meanwhile. */
  redraw(): void;
}

export interface Logger {
  debug(message: string, ...values: unknown[]): void;
  /** Like console.info: `%s`, `%d`, ... are filled in and further values appended. */
  info(message: string, ...values: unknown[]): void;
  warn(message: string, ...values: unknown[]): void;
  error(message: string, ...values: unknown[]): void;
  /** To the file alone: for what the console gets from elsewhere. */
  record(level: LogLevel, message: string): void;
  /** Makes room for a status line around every console line, until the returned function is called. */
  attach(line: StatusLine): () => void;
  /** Closes the file; later messages go to the console only. May be called twice. */
  close(): void;
}

const pad = (value: number, digits: number) => String(value).padStart(digits, '0');

/** Local time as Python's logging writes it: "2026-01-31 09:05:07,042". */
export function timestamp(time: Date): string {
  const date = `${time.getFullYear()}-${pad(time.getMonth() + 1, 2)}-${pad(time.getDate(), 2)}`;
  const clock = `${pad(time.getHours(), 2)}:${pad(time.getMinutes(), 2)}:${pad(time.getSeconds(), 2)}`;
  return `${date} ${clock},${pad(time.getMilliseconds(), 3)}`;
}

/** What a run's files are called: local time to the minute, "2026-01-31-09-05", which sorts. */
export const runName = (): string => timestamp(new Date()).slice(0, 16).replace(/[ :]/g, '-');

/**
 * Logs to a file and to the console, each line "time - LEVEL: message" (original: setup_logger in
 * utils/medical_utils.py). Lines reach the file one by one and at once, so a killed run loses none. An existing
 * file is appended to, never overwritten.
 *
 * @param filename the log file; undefined logs to the console only
 * @throws FileAccessError when the file cannot be opened
 */
export function setupLogger(filename?: string, options: LoggerOptions = {}): Logger {
  const { quiet = false, silent = false, verbose = false, stream = process.stderr } = options;
  const fileFrom: LogLevel = verbose ? 'debug' : 'info';
  const consoleFrom: LogLevel = quiet ? 'warn' : fileFrom;
  const statusLines = new Set<StatusLine>();
  let file = filename === undefined ? undefined : open(filename);

  const reaches = (level: LogLevel, from: LogLevel) => LEVELS.indexOf(level) >= LEVELS.indexOf(from);

  function toConsole(line: string): void {
    for (const status of statusLines) status.clear();
    stream.write(line);
    for (const status of statusLines) status.redraw();
  }

  function close(): void {
    if (file === undefined) return;
    closeSync(file);
    file = undefined;
  }

  function toFile(line: string): void {
    if (file === undefined) return;
    try {
      writeSync(file, line);
    } catch (error) {
      // A full disk must not end a training that runs well: said once, then the console alone.
      close();
      const reason = (fileAccessError(error, 'write', filename!) as Error).message;
      toConsole(`${timestamp(new Date())} - WARNING: ${reason} Logging goes on without the file.\n`);
    }
  }

  const lineOf = (level: LogLevel, text: string) =>
    `${timestamp(new Date())} - ${LEVEL_NAMES[level]}: ${text}\n`;

  function write(level: LogLevel, message: string, values: unknown[]): void {
    const line = lineOf(level, format(message, ...values));
    if (reaches(level, fileFrom)) toFile(line);
    if (!silent && reaches(level, consoleFrom)) toConsole(line);
  }

  return {
    debug: (message, ...values) => write('debug', message, values),
    info: (message, ...values) => write('info', message, values),
    warn: (message, ...values) => write('warn', message, values),
    error: (message, ...values) => write('error', message, values),
    record: (level, message) => toFile(lineOf(level, message)),
    attach(line) {
      statusLines.add(line);
      return () => {
        statusLines.delete(line);
      };
    },
    close,
  };
}

function open(filename: string): number {
  try {
    return openSync(filename, 'a');
  } catch (error) {
    throw fileAccessError(error, 'write', filename);
  }
}
