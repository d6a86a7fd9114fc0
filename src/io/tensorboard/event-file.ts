/** Event files of a run: a folder that TensorBoard shows as one curve per tag. */
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { FileFormatError, fileAccessError } from '../file-error.js';
import { makeFolder } from '../make-folder.js';
import { withFile } from '../random-access.js';
import { decodeEvent, type Event, encodeEvent, FILE_VERSION, type SummaryValue } from './event.js';
import { frameRecord, splitRecords } from './record.js';

const NAME = /^events\.out\.tfevents\.(\d+)\./;
/** Files that this process has made: the last part of their names. */
let made = 0;

/** Event files in a folder, in the order in which TensorBoard reads them: by name. */
export function eventFiles(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => NAME.test(name));
    return names.sort().map((name) => join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileAccessError(error, 'read', folder);
  }
}

/** A name that is read after those already there, also when the clock was put back since. */
function nextName(folder: string): string {
  const earlier = eventFiles(folder).map((path) => Number(NAME.exec(basename(path))![1]) + 1);
  const seconds = Math.max(Math.floor(Date.now() / 1000), ...earlier);
  const host = hostname().replace(/[^\w.-]/g, '_') || 'localhost';
  return `events.out.tfevents.${String(seconds).padStart(10, '0')}.${host}.${process.pid}.${made++}`;
}

/**
 * Appends events to a new file in a folder. Each is with the operating system as soon as `write` returns: a running
 * TensorBoard sees it, and a killed process leaves a file that can be read up to there.
 */
export class EventWriter {
  readonly path: string;
  #file: number | undefined;

  /**
   * @param folder made when missing
   * @param restartAt first step that is about to be written, for a run that goes on: readers drop it and later ones
   *   from the folder's earlier files, so that steps which are done again do not show twice
   * @throws FileAccessError when folder or file cannot be made
   */
  constructor(folder: string, restartAt?: number) {
    try {
      makeFolder(folder);
    } catch (error) {
      throw fileAccessError(error, 'write', folder);
    }
    this.path = join(folder, nextName(folder));
    try {
      this.#file = openSync(this.path, 'ax');
    } catch (error) {
      throw fileAccessError(error, 'write', this.path);
    }
    this.#append({ step: 0, fileVersion: FILE_VERSION, values: [] });
    if (restartAt !== undefined) this.#append({ step: restartAt, restart: true, values: [] });
  }

  /**
   * Appends one event.
   * @throws FileAccessError when the disk refuses; Error after `close`
   */
  write(step: number, values: SummaryValue[]): void {
    this.#append({ step, values });
  }

  #append(event: Omit<Event, 'wallTime'>): void {
    if (this.#file === undefined)
      throw new Error(`Expected an open event file for ${this.path} but it was closed`);
    const record = frameRecord(encodeEvent({ wallTime: Date.now() / 1000, ...event }));
    try {
      for (let done = 0; done < record.length; ) done += writeSync(this.#file, record, done);
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

/** What an event file holds. */
export interface EventFile {
  events: Event[];
  /** Bytes of a last event that was cut short, as a killed run leaves it; 0 otherwise. */
  torn: number;
}

/**
 * Reads an event file to its last whole event.
 * @throws FileFormatError for a record that is damaged or no event; FileAccessError when it cannot be read
 */
export function readEventFile(path: string): EventFile {
  const bytes = withFile(path, (file) => file.read(0, file.size, 'its bytes'));
  const { records, torn } = splitRecords(bytes, path);
  const events = records.map((record, index) => {
    try {
      return decodeEvent(record);
    } catch (error) {
      const received = (error as Error).message;
      throw new FileFormatError(
        { path, expected: `an event in record ${index}`, received },
        { cause: error },
      );
    }
  });
  return { events, torn };
}

/** What a reader shows of a folder: all its files' events in order, less those that a later file does again. */
export function readRun(folder: string): Event[] {
  let events: Event[] = [];
  for (const path of eventFiles(folder))
    for (const event of readEventFile(path).events) {
      if (event.restart) events = events.filter(({ step }) => step < event.step);
      else if (event.values.length > 0) events.push(event);
    }
  return events;
}
