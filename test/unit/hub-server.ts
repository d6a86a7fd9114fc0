/**
 * A Hugging Face hub on this machine, answering as the real one does: large files by a redirect to their storage
 * (another host) that carries X-Linked-Size and X-Linked-Etag (sha256), small ones directly with git's hash as ETag.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';

export interface HubFile {
  bytes: Buffer;
  /** Kept in git itself: no redirect, no X-Linked headers. */
  small?: boolean;
  /** What is announced in place of the truth. */
  announces?: { size?: number; hash?: string };
}

export interface Seen {
  method: string;
  url: string;
  host: 'hub' | 'storage';
  authorization?: string;
  range?: string;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => boolean;

const servers: Server[] = [];
afterAll(() => Promise.all(servers.map((server) => new Promise((done) => server.close(done)))));

async function listen(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
/** As `git hash-object` computes it. */
export const gitHash = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

export class HubServer {
  /** By path, e.g. "nvidia/mit-b0/resolve/main/model.safetensors". */
  readonly files = new Map<string, HubFile>();
  readonly seen: Seen[] = [];
  /** Answers in the server's place when it returns true. */
  onHub: Handler = () => false;
  onStorage: Handler = () => false;
  endpoint = '';

  static async start(): Promise<HubServer> {
    const hub = new HubServer();
    const storage = await listen((request, response) => {
      hub.#note('storage', request);
      if (!hub.onStorage(request, response)) hub.#send(request, response);
    });
    hub.endpoint = await listen((request, response) => {
      hub.#note('hub', request);
      if (!hub.onHub(request, response)) hub.#answer(request, response, storage);
    });
    return hub;
  }

  put(file: string, bytes: Buffer, more: Omit<HubFile, 'bytes'> = {}, model = 'mit-b0'): this {
    this.files.set(`nvidia/${model}/resolve/main/${file}`, { bytes, ...more });
    return this;
  }

  #note(host: Seen['host'], { method, url, headers }: IncomingMessage): void {
    const { authorization, range } = headers;
    this.seen.push({ method: method!, url: url!, host, authorization, range });
  }

  #answer(request: IncomingMessage, response: ServerResponse, storage: string): void {
    const name = request.url!.slice(1);
    const file = this.files.get(name);
    response.setHeader('x-repo-commit', '80983a413c30d36a39c20203974ae7807835e2b4');
    if (!file) {
      response
        .writeHead(404, { 'x-error-code': 'EntryNotFound', 'x-error-message': 'Entry not found' })
        .end();
    } else if (file.small) {
      response.setHeader('etag', `"${file.announces?.hash ?? gitHash(file.bytes)}"`);
      this.#send(request, response);
    } else {
      const { size = file.bytes.length, hash = sha256(file.bytes) } = file.announces ?? {};
      response
        .writeHead(302, {
          location: `${storage}/${name}`,
          'x-linked-size': String(size),
          'x-linked-etag': `"${hash}"`,
        })
        .end('Found. Redirecting');
    }
  }

  #send(request: IncomingMessage, response: ServerResponse): void {
    const file = this.files.get(request.url!.slice(1));
    if (!file) return void response.writeHead(404).end();
    const { bytes } = file;
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (from > 0 && from >= bytes.length) return void response.writeHead(416).end();
    const body = bytes.subarray(from);
    const range = from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': body.length, ...range });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

/** Sends the first bytes of a whole answer, then breaks the line. */
export function breakAfter(count: number, bytes: Buffer): Handler {
  return (request, response) => {
    if (request.method !== 'GET') return false;
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(from > 0 ? 206 : 200, {
      'content-length': bytes.length - from,
      ...(from > 0 && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
    });
    response.write(bytes.subarray(from, from + count), () => setTimeout(() => response.destroy(), 20));
    return true;
  };
}
