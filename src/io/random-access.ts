import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { FileFormatError, fileAccessError } from './file-error.js';

/** One read call takes at most 2^31 - 1 bytes. */
const MAX_READ = 1 << 30;

/** Reads parts of a file, so that a large one never lies in memory whole. Made by `withFile`. */
export class RandomAccessFile {
  constructor(
    readonly path: string,
    readonly size: number,
    private readonly fd: number,
  ) {}

  /**
   * Reads `length` bytes from `offset` into a buffer of their own (hence aligned and transferable).
   * @throws FileFormatError when the file ends before that; nothing is allocated then
   */
  read(offset: number, length: number, what: string): Uint8Array {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new FileFormatError({
        path: this.path,
        expected: `${what} (${length} bytes from byte ${offset})`,
        received: `a file of ${this.size} bytes`,
        remedy: 'The file is truncated or damaged: copy or create it again.',
      });
    }
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.fd, bytes, done, Math.min(length - done, MAX_READ), offset + done);
      if (count === 0) throw new Error(`Cannot read ${this.path}: it became shorter while it was read.`);
      done += count;
    }
    return bytes;
  }
}

/**
 * Opens `path`, gives it to `use` and closes it, whatever happens.
 * @throws FileAccessError when the file cannot be opened or read
 */
export function withFile<T>(path: string, use: (file: RandomAccessFile) => T): T {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const status = fstatSync(fd);
    if (status.isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' });
    return use(new RandomAccessFile(path, status.size, fd));
  } catch (error) {
    throw fileAccessError(error, 'read', path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
