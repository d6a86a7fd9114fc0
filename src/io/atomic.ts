/**
 * Files that are either whole or not there: written under a temporary name in the same folder (a rename
 * is atomic only within one file system), flushed to the disk, then renamed.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileAccessError } from './file-error.js';

/** Chunks let a large file be written without one large buffer. */
export type FileContent = Uint8Array | string | Iterable<Uint8Array>;

/** One write call takes at most 2^31 - 1 bytes. */
const MAX_WRITE = 1 << 30;

/** Names have at most 255 bytes on common file systems; the suffix needs some of them. */
const temporaryName = (path: string): string =>
  join(dirname(path), `.${basename(path).slice(0, 40)}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`);

const TEMPORARY = /^\..+\.(\d+)-[0-9a-f]{12}\.tmp$/;

/** Removes what killed processes were writing in a folder. A name is theirs when no process of its number lives. */
export function removeAbandoned(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = TEMPORARY.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(folder, name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Not permitted means that it is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function chunksOf(content: FileContent): Iterable<Uint8Array> {
  if (typeof content === 'string') return [Buffer.from(content, 'utf8')];
  return content instanceof Uint8Array ? [content] : content;
}

/** Renaming onto a folder fails only at the end; said before the work instead. */
function refuseFolder(isDirectory: boolean | undefined): void {
  if (isDirectory) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' });
}

/**
 * Writes a file whole or not at all: on any failure, also of `content` itself, what was at `path`
 * before is still there and no temporary file is left.
 * @throws FileAccessError that names the file and the remedy (folder missing, not writable, disk full)
 */
export function writeFileAtomic(path: string, content: FileContent): void {
  const temporary = temporaryName(path);
  try {
    refuseFolder(statSync(path, { throwIfNoEntry: false })?.isDirectory());
    const fd = openSync(temporary, 'wx');
    try {
      try {
        for (const chunk of chunksOf(content)) {
          for (let done = 0; done < chunk.byteLength; ) {
            done += writeSync(fd, chunk, done, Math.min(chunk.byteLength - done, MAX_WRITE));
          }
        }
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    throw fileAccessError(error, 'write', path);
  }
  flushFolder(dirname(path));
}

/**
 * A new name is durable only once its folder is flushed too. Windows and some network file systems
 * refuse that; the file's own bytes are on the disk all the same, so it is no failure.
 */
function flushFolder(folder: string): void {
  try {
    const fd = openSync(folder, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {}
}

export interface WriteOptions {
  /**
   * Whether the file is on the disk when the promise resolves, which takes milliseconds. Without, it is whole or not there
   * whatever becomes of the process; where the machine itself fails, it may be empty.
   */
  flush?: boolean;
}

/** As `writeFileAtomic`, without blocking the event loop: for exports beside other work. */
export async function writeFileAtomicAsync(
  path: string,
  content: FileContent | AsyncIterable<Uint8Array>,
  { flush = true }: WriteOptions = {},
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    refuseFolder((await stat(path).catch(() => undefined))?.isDirectory());
    const file = await open(temporary, 'wx');
    try {
      try {
        // `for await` takes plain iterables too.
        const chunks = isAsyncIterable(content) ? content : chunksOf(content);
        for await (const chunk of chunks) {
          for (let done = 0; done < chunk.byteLength; ) {
            const length = Math.min(chunk.byteLength - done, MAX_WRITE);
            done += (await file.write(chunk, done, length)).bytesWritten;
          }
        }
        if (flush) await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    throw fileAccessError(error, 'write', path);
  }
  if (!flush) return;
  await open(dirname(path), 'r')
    .then((folder) => folder.sync().finally(() => folder.close()))
    .catch(() => {});
}

const isAsyncIterable = (content: object | string): content is AsyncIterable<Uint8Array> =>
  typeof content === 'object' && Symbol.asyncIterator in content;
