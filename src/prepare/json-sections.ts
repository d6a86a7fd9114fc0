/**
 * Reads the elements of lists in a large JSON file one by one. COCO's annotation files have up to 470 MB, while a string of Node
 * ends at 512 MB and their parsed form takes gigabytes; here only one element is in memory, and its place in the
 * file is known, so that it can be read again. Elements are parsed by JSON.parse itself.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { FileFormatError, fileAccessError } from '../io/file-error.js';

/** An object of a list, and the bytes that hold it. */
export interface JsonElement {
  /** Key of the list in the outermost object. */
  section: string;
  value: Record<string, unknown>;
  offset: number;
  length: number;
}

const CHUNK_BYTES = 4 << 20;
const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];
const EXPECTED = 'a JSON object of lists, as COCO annotation files are,';

/**
 * Visits the objects of the lists whose keys are in `sections`, in the order of the file.
 * @param onBytes called with the bytes read so far and the file's size
 * @returns the keys of all lists there were
 * @throws FileFormatError for damaged or cut-off JSON, and for a file that is no object
 */
export async function visitJsonSections(
  path: string,
  sections: readonly string[],
  visit: (element: JsonElement) => void,
  onBytes?: (done: number, total: number) => void,
): Promise<Set<string>> {
  const scanner = new SectionScanner(path, new Set(sections), visit);
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const total = (await file.stat()).size;
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let done = 0; ; ) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, done);
      if (bytesRead === 0) break;
      scanner.push(chunk.subarray(0, bytesRead), done);
      done += bytesRead;
      onBytes?.(done, total);
    }
  } catch (error) {
    throw fileAccessError(error, 'read', path);
  } finally {
    await file?.close();
  }
  scanner.end();
  return scanner.found;
}

/** Follows brackets and strings only: what stands between them is JSON.parse's business. */
class SectionScanner {
  readonly found = new Set<string>();
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The last string of the outermost object: a key, when a list follows. */
  #key: number[] = [];
  #section: string | undefined;
  /** Whether elements of the list at hand are wanted. */
  #wanted = false;
  #elementStart = -1;
  /** The start of an element that goes on in the next chunk. */
  #carried: Buffer[] = [];

  constructor(
    readonly path: string,
    readonly sections: ReadonlySet<string>,
    readonly visit: (element: JsonElement) => void,
  ) {}

  /** @param offset of the chunk in the file */
  push(chunk: Buffer, offset: number): void {
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#inString = false;
        if (this.#inString && this.#depth === 1) this.#key.push(byte);
        continue;
      }
      if (byte === QUOTE) {
        this.#inString = true;
        if (this.#depth === 1) this.#key = [];
      } else if (byte === OPEN || byte === OPEN_LIST) this.#open(byte, offset + i);
      else if (byte === CLOSE || byte === CLOSE_LIST) this.#close(chunk, i, offset);
      else if (this.#depth === 0 && !isSpace(byte, offset + i)) this.#refuse('something outside of braces');
    }
    if (this.#elementStart < 0) return;
    // The chunk's memory is filled again: what is carried is copied.
    this.#carried.push(Buffer.from(chunk.subarray(Math.max(0, this.#elementStart - offset))));
  }

  end(): void {
    if (this.#depth > 0 || this.#inString) this.#refuse('one that is cut off: copy or download it again');
    if (this.found.size === 0) this.#refuse('one without lists');
  }

  #open(byte: number, at: number): void {
    this.#depth++;
    if (this.#depth === 1 && byte !== OPEN) this.#refuse('a list');
    if (this.#depth === 2) {
      this.#section = byte === OPEN_LIST ? Buffer.from(this.#key).toString('utf8') : undefined;
      if (this.#section !== undefined) this.found.add(this.#section);
      this.#wanted = this.#section !== undefined && this.sections.has(this.#section);
    } else if (this.#depth === 3 && this.#wanted) this.#elementStart = at;
  }

  #close(chunk: Buffer, i: number, offset: number): void {
    this.#depth--;
    if (this.#depth < 0) this.#refuse('one with a bracket too many');
    if (this.#depth !== 2 || this.#elementStart < 0) return;
    const start = this.#elementStart;
    const rest = chunk.subarray(Math.max(0, start - offset), i + 1);
    const bytes = this.#carried.length > 0 ? Buffer.concat([...this.#carried, rest]) : rest;
    this.#carried = [];
    this.#elementStart = -1;
    const value = parseElement(this.path, bytes, start);
    this.visit({ section: this.#section!, value, offset: start, length: bytes.length });
  }

  #refuse(received: string): never {
    throw new FileFormatError({ path: this.path, expected: EXPECTED, received });
  }
}

/** Space of JSON, or a byte order mark at the start. */
function isSpace(byte: number, at: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) || (at < 3 && byte >= 0xbb);
}

/** @throws FileFormatError that says where in the file the damage is */
export function parseElement(path: string, bytes: Buffer, offset: number): Record<string, unknown> {
  try {
    return JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  } catch (error) {
    const received = `a damaged element at byte ${offset} (${(error as Error).message})`;
    throw new FileFormatError({ path, expected: EXPECTED, received }, { cause: error });
  }
}
