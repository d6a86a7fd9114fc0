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
  const bytes = new Uint8Array(length);
  let done = 0;
  for await (const chunk of byteChunks(path, start, length)) {
    bytes.set(chunk, done);
    done += chunk.length;
  }
  return bytes.slice(0, done);
}

/** As `readByteRange`, piece by piece: what is read is good until the next piece. */
export async function* byteChunks(path: string, start: number, length: number): AsyncGenerator<Uint8Array> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const magic = new Uint8Array(2);
    await file.read(magic, 0, 2, 0);
    if (magic[0] === 0x1f && magic[1] === 0x8b) {
      yield* zippedChunks(path, start, length);
      return;
    }
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, length));
    for (let done = 0; done < length; ) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, length - done), start + done);
      if (bytesRead === 0) return;
      done += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const readable = fileAccessError(error, 'read', path) as Error;
    throw new UsageError(readable.message, { cause: error });
  } finally {
    await file?.close();
  }
}

async function* zippedChunks(path: string, start: number, length: number): AsyncGenerator<Uint8Array> {
  const source = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const contents = source.pipe(createGunzip({ chunkSize: CHUNK_BYTES }));
  // `pipe` hands data on, but not errors.
  source.on('error', (error) => contents.destroy(error));
  let position = 0;
  try {
    for await (const chunk of contents as AsyncIterable<Uint8Array>) {
      const part = chunk.subarray(Math.max(0, start - position), Math.max(0, start + length - position));
      if (part.length > 0) yield part;
      position += chunk.length;
      // Leaving the loop destroys the stream: later channels of a 4-D volume are not even unzipped.
      if (position >= start + length) return;
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
}
