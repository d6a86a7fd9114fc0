/** A file from the hub onto the disk: resumed where an earlier try ended, and only kept when size and hash are right. */
import { createReadStream, statSync } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileAccessError } from '../io/file-error.js';
import { type Announced, hashOf } from './announced.js';
import type { Hub } from './hub.js';
import { ask, brokenLine, discard, headerOf, TransientError } from './request.js';
import { type RetryOptions, withRetries } from './retry.js';

export interface TransferOptions extends RetryOptions {
  hub: Hub;
  /** Bytes on the disk so far. */
  onProgress?: (done: number) => void;
}

/**
 * Where a file grows. Its content's hash is in the name: what is left of another version is never gone on with.
 */
export const incompletePath = (path: string, { hash }: Announced): string =>
  `${path}.${hash.slice(0, 16)}.incomplete`;

/**
 * Fetches a file whole or not at all; a broken transfer leaves its part, from which the next one goes on.
 * @throws RefusedError, TransientError (after several tries); FileAccessError; Error for content that is not what
 * was announced, which is thrown away
 */
export async function fetchFile(
  url: string,
  path: string,
  announced: Announced,
  options: TransferOptions,
): Promise<void> {
  const part = incompletePath(path, announced);
  await removeOtherParts(path, part);
  await requireSpace(part, announced);
  await grow(url, part, announced, options);
  const hash = await hashFile(part, announced);
  if (hash !== announced.hash) {
    await rm(part, { force: true });
    throw new Error(
      `Expected ${announced.kind} ${announced.hash} for ${url}, as the server announced, but received ${hash}. ` +
        'What came is thrown away; run the command again. Should that not help, a proxy or mirror changes the file.',
    );
  }
  await rename(part, path).catch((error) => {
    throw fileAccessError(error, 'write', path);
  });
}

/** The announced kind of hash of a file on the disk. */
export async function hashFile(path: string, announced: Announced): Promise<string> {
  const hash = hashOf(announced);
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

export const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

async function removeOtherParts(path: string, part: string): Promise<void> {
  const start = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    const isPart = name.startsWith(start) && name.endsWith('.incomplete');
    if (isPart && name !== basename(part)) await rm(join(dirname(path), name), { force: true });
  }
}

/** Said before the work: a disk that fills up in the middle fills up for everyone. */
async function requireSpace(part: string, { size }: Announced): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(part));
  const needed = size - sizeOf(part);
  if (bavail * bsize < needed) {
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    throw fileAccessError(full, 'write', `${part} (${megabytes(needed)} MB more)`);
  }
}

export const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Fetches what is missing of a part, in as many requests as it takes. */
function grow(url: string, part: string, announced: Announced, options: TransferOptions): Promise<void> {
  const attempt = async () => {
    if (sizeOf(part) !== announced.size) await fetchRest(url, part, announced, options);
    if (sizeOf(part) === announced.size) return;
    throw new TransientError(`the transfer ended after ${sizeOf(part)} of ${announced.size} bytes`);
  };
  // The furthest, as a part that is thrown away and fetched again would else pass for an advance without end.
  let furthest = 0;
  return withRetries(attempt, options, () => {
    furthest = Math.max(furthest, sizeOf(part));
    return furthest;
  });
}

/** One request, for all bytes behind those that are there. */
async function fetchRest(
  url: string,
  part: string,
  { size }: Announced,
  { hub, signal, onProgress }: TransferOptions,
): Promise<void> {
  const there = sizeOf(part) > size ? 0 : sizeOf(part);
  const answer = await ask(url, {
    method: 'GET',
    token: hub.token,
    timeout: hub.readTimeout,
    signal,
    headers: there > 0 ? { range: `bytes=${there}-` } : {},
  });
  const from = startOf(answer, there, size);
  if (from === undefined) {
    await discard(answer);
    await rm(part, { force: true });
    throw new TransientError('the server cannot go on with the part that is there: starting anew');
  }
  const file = await open(part, from === 0 ? 'w' : 'r+').catch((error) => {
    throw fileAccessError(error, 'write', part);
  });
  try {
    await append(received(answer), file, from, { part, size, onProgress });
  } finally {
    await file.close();
  }
}

/** The byte at which an answer's content starts: a server may ignore ranges and send all. */
function startOf(
  answer: Parameters<typeof headerOf>[0] & { statusCode: number },
  there: number,
  size: number,
) {
  if (answer.statusCode === 200) return 0;
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headerOf(answer, 'content-range') ?? '');
  const fits =
    range !== null && Number(range[1]) === there && (range[2] === '*' || Number(range[2]) === size);
  return answer.statusCode === 206 && fits ? there : undefined;
}

async function append(
  chunks: AsyncIterable<Uint8Array>,
  file: FileHandle,
  from: number,
  { part, size, onProgress }: { part: string; size: number } & Pick<TransferOptions, 'onProgress'>,
): Promise<void> {
  let position = from;
  for await (const chunk of chunks) {
    if (position + chunk.byteLength > size) {
      await file.truncate(0);
      throw new Error(`Expected ${size} bytes, as the server announced, for ${part} but received more.`);
    }
    await writeAll(file, chunk, position).catch((error) => {
      throw fileAccessError(error, 'write', part);
    });
    position += chunk.byteLength;
    onProgress?.(position);
  }
  await file.sync();
}

/** An answer's bytes; a line that breaks is told apart from a disk that fails. */
async function* received({ body, url }: Awaited<ReturnType<typeof ask>>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw brokenLine(error, url);
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.byteLength; )
    done += (await file.write(chunk, done, chunk.byteLength - done, position + done)).bytesWritten;
}
