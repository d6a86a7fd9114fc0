/** What the hub says of a file before it is fetched: the only source of the size and hash that it must have. */
import { createHash } from 'node:crypto';
import type { Hub } from './hub.js';
import { ask, discard, headerOf, RefusedError } from './request.js';

export interface Announced {
  size: number;
  /** sha256 of files in large-file storage (LFS, Xet); git's own object hash of the others. */
  kind: 'sha256' | 'git-sha1';
  hash: string;
  /** The commit that the revision stands for. */
  commit?: string;
}

/**
 * Asks for a file's size and hash. Large files are answered with a redirect to their storage that carries both
 * (X-Linked-Size, X-Linked-Etag); small ones with Content-Length and an ETag that is git's hash of the object.
 * @throws RefusedError, TransientError; Error when the answer announces nothing that can be checked
 */
export async function announcedFile(url: string, hub: Hub, signal?: AbortSignal): Promise<Announced> {
  const answer = await ask(url, {
    method: 'HEAD',
    token: hub.token,
    timeout: hub.askTimeout,
    signal,
    follows: (redirect) => headerOf(redirect, 'x-linked-etag') === undefined,
  });
  await discard(answer);
  const etag = headerOf(answer, 'x-linked-etag') ?? headerOf(answer, 'etag') ?? '';
  const hash = etag.replace(/^W\//, '').replaceAll('"', '').toLowerCase();
  const size = Number(headerOf(answer, 'x-linked-size') ?? headerOf(answer, 'content-length') ?? Number.NaN);
  const kind = { 64: 'sha256', 40: 'git-sha1' }[/^[0-9a-f]+$/.test(hash) ? hash.length : 0] as
    | Announced['kind']
    | undefined;
  if (kind === undefined || !Number.isSafeInteger(size)) {
    throw new RefusedError(
      `Expected the size and hash of ${url} in the server's answer but received ` +
        `${kind === undefined ? `ETag '${etag}'` : 'no size'}: what it sends could not be checked. ` +
        'Is HF_ENDPOINT a mirror of the Hugging Face hub?',
      200,
    );
  }
  return { size, kind, hash, commit: headerOf(answer, 'x-repo-commit') };
}

/** A running hash of the announced kind. Git hashes a header of type and size before the content. */
export function hashOf({ kind, size }: Announced) {
  return kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}
