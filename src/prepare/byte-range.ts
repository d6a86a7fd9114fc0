/** Reads parts of plain and gzipped files alike, without holding more than the part asked for. */

import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { UsageError } from '../config/errors.js';
import { fileAccessError } from '../io/file-error.js';

/** Larger than the streams' defaults (16 and 64 KiB): volumes have tens of megabytes. */
const CHUNK_BYTES = 1 << 20;

/**
 * Bytes [start, start + length) of a file's contents, unzipped where the file is gzip (told by its first
 * bytes, not by its name). Shorter where the contents end before that.
 *
 * @throws UsageError when the gzip data are damaged, or the file cannot be read
 */
export async function readByteRange(
  path: string,
  start: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const magic = (await readAt(file, 0, 2)) as Uint8Array;
    if (magic[0] !== 0x1f || magic[1] !== 0x8b) return await readAt(file, start, length);
  } catch (error) {
    const readable = fileAccessError(error, 'read', path) as Error;
    throw new UsageError(readable.message, { cause: error });
  } finally {
    await file?.close();
  }
  return await readZipped(path, start, length);
}

async function readAt(file: FileHandle, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, 1 << 30), start + done);
    if (bytesRead === 0) return bytes.slice(0, done);
    done += bytesRead;
  }
  return bytes;
}

async function readZipped(path: string, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const source = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const contents = source.pipe(createGunzip({ chunkSize: CHUNK_BYTES }));
  // `pipe` hands data on, but not errors.
  source.on('error', (error) => contents.destroy(error));
  const bytes = new Uint8Array(length);
  let position = 0;
  try {
    for await (const chunk of contents as AsyncIterable<Uint8Array>) {
      const part = chunk.subarray(Math.max(0, start - position), Math.max(0, start + length - position));
      bytes.set(part, Math.max(0, position - start));
      position += chunk.length;
      // Leaving the loop destroys the stream: later channels of a 4-D volume are not even unzipped.
      if (position >= start + length) return bytes;
    }
  } catch (error) {
    const reason = (error as Error).message;
    throw new UsageError(
      `Expected whole gzip data for ${path} but received damaged or cut-off ones (${reason}). Copy or download the file again.`,
      { cause: error },
    );
  } finally {
    source.destroy();
  }
  return bytes.slice(0, Math.max(0, position - start));
}
