import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { writeFileAtomic } from '../io/atomic.js';
import { fileAccessError } from '../io/file-error.js';

export type MetricsRecord = Readonly<Record<string, unknown>>;

/**
 * metrics.jsonl: one JSON object per line, on the disk as soon as `append` returns. NaN and infinities become
 * null, because JSON has no such numbers and a reader must not fail on the line of a diverged step.
 */
export class MetricsLog {
  #file: number | undefined;

  /**
   * @param path created when missing, else appended to
   * @param resumeAt iteration that a resumed run goes on from: records of later iterations, which it will write
   *   again, are removed, and so is a last line that a crash cut short
   * @throws FileAccessError when the file cannot be read or written
   */
  constructor(
    readonly path: string,
    resumeAt?: number,
  ) {
    try {
      if (resumeAt !== undefined) forgetAfter(path, resumeAt);
      this.#file = openSync(path, 'a');
    } catch (error) {
      throw fileAccessError(error, 'write', path);
    }
  }

  /** @throws FileAccessError when the disk refuses; Error after `close` */
  append(record: MetricsRecord): void {
    if (this.#file === undefined)
      throw new Error(`Expected an open metrics log for ${this.path} but it was closed`);
    try {
      writeSync(this.#file, `${JSON.stringify(record)}\n`);
    } catch (error) {
      throw fileAccessError(error, 'write', this.path);
    }
  }

  /** May be called twice. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function parse(line: string): MetricsRecord | undefined {
  try {
    return JSON.parse(line) as MetricsRecord;
  } catch {
    return undefined;
  }
}

function forgetAfter(path: string, iteration: number): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const kept = text.split('\n').filter((line) => {
    const at = line === '' ? undefined : parse(line);
    return at !== undefined && !(typeof at.iteration === 'number' && at.iteration > iteration);
  });
  writeFileAtomic(path, kept.map((line) => `${line}\n`).join(''));
}
