/** One HTTP exchange: redirects followed with the token kept to its own host, refusals and broken lines told apart. */
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { expected, UsageError } from '../config/errors.js';

type Answer = Dispatcher.ResponseData;

export interface Asking {
  method: 'HEAD' | 'GET';
  token?: string;
  headers?: Readonly<Record<string, string>>;
  /** Longest silence, in milliseconds: while connecting, before the answer, between its bytes. */
  timeout: number;
  signal?: AbortSignal;
  /** Redirects for which this is false are the answer. Default: all are followed. */
  follows?: (answer: Answer) => boolean;
}

/** The server refused: asking again would not help. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  constructor(
    message: string,
    /** The HTTP status; 0 where it did not come so far. */
    readonly status: number,
    /** The hub's own word: EntryNotFound, RepoNotFound, GatedRepo, ... */
    readonly hubCode?: string,
  ) {
    super(message);
  }
}

/** The line broke, or the server is busy: asking again may help. */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  /** How long the server asks to wait, in milliseconds. */
  readonly wait?: number;
  constructor(message: string, options?: ErrorOptions & { wait?: number }) {
    super(message, options);
    this.wait = options?.wait;
  }
}

const MAX_REDIRECTS = 10;
const PROXY_VARIABLES = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'];

let dispatcher: Dispatcher | undefined;
/** Connections are shared by all requests. A proxy is taken from the environment, as other tools do. */
function connections(timeout: number): Dispatcher {
  const connect = { timeout };
  const proxied = PROXY_VARIABLES.some((name) => process.env[name]);
  dispatcher ??= proxied ? new EnvHttpProxyAgent({ connect }) : new Agent({ connect });
  return dispatcher;
}

/**
 * Sends a request and follows its redirects. The token goes to the first address's host only.
 * @throws RefusedError for 4xx, TransientError for 5xx, 408, 429, time-outs and broken connections
 */
export async function ask(url: string, asking: Asking): Promise<Answer & { url: string }> {
  const { method, token, timeout, signal, follows = () => true } = asking;
  const { origin } = parseUrl(url);
  let at = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const headers: Record<string, string> = {
      'user-agent': 'medical-afa',
      // Compressed on the way, a file would not have the size that is announced.
      'accept-encoding': 'identity',
      ...asking.headers,
    };
    if (token !== undefined && new URL(at).origin === origin) headers.authorization = `Bearer ${token}`;
    const answer = await send(at, {
      method,
      headers,
      signal,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      dispatcher: connections(timeout),
    });
    const location = headerOf(answer, 'location');
    const redirects = answer.statusCode >= 300 && answer.statusCode < 400 && location !== undefined;
    if (!redirects || !follows(answer)) {
      await refuseFailure(answer, at);
      return Object.assign(answer, { url: at });
    }
    await discard(answer);
    at = new URL(location, at).href;
  }
  throw new RefusedError(`${url} leads from redirect to redirect (more than ${MAX_REDIRECTS})`, 310);
}

function parseUrl(url: string): URL {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return new URL(url);
  throw new UsageError(`${expected('an http or https address', 'HF_ENDPOINT', url)}.`);
}

async function send(url: string, options: Parameters<typeof request>[1]): Promise<Answer> {
  try {
    const answer = await request(url, options);
    // A line may break before anybody reads the body: who reads it then gets the error, and nobody's is uncaught.
    answer.body.on('error', () => {});
    return answer;
  } catch (error) {
    throw brokenLine(error, url);
  }
}

/** What undici throws when a connection fails, as one sentence. An abort stays what it is. */
export function brokenLine(error: unknown, url: string): unknown {
  const { name, code, message } = error as NodeJS.ErrnoException;
  if (name === 'AbortError') return error;
  const { host } = new URL(url);
  if (/CERT|VERIFY_LEAF/.test(code ?? ''))
    return new RefusedError(
      `${host}: its certificate is not trusted (${code}). Behind a proxy that replaces certificates, name the ` +
        "proxy's own with NODE_EXTRA_CA_CERTS=FILE",
      0,
    );
  const reason =
    {
      ENOTFOUND: 'the name is not known (no network?)',
      EAI_AGAIN: 'the name cannot be looked up (no network?)',
      ECONNREFUSED: 'nothing answers there',
      UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
      UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
      UND_ERR_BODY_TIMEOUT: 'no more bytes in time',
    }[code ?? ''] ?? message;
  return new TransientError(`${host}: ${reason}`, { cause: error });
}

const BUSY = [408, 425, 429];

async function refuseFailure(answer: Answer, url: string): Promise<void> {
  const { statusCode: status } = answer;
  if (status < 400 || status === 416) return;
  await discard(answer);
  const said = headerOf(answer, 'x-error-message');
  const text = `${new URL(url).host} answers ${status}${said === undefined ? '' : ` (${said})`}`;
  const seconds = Number(headerOf(answer, 'retry-after'));
  if (status >= 500 || BUSY.includes(status))
    throw new TransientError(text, { wait: Number.isFinite(seconds) ? seconds * 1000 : undefined });
  throw new RefusedError(text, status, headerOf(answer, 'x-error-code'));
}

export function headerOf({ headers }: Pick<Answer, 'headers'>, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Ends an answer whose body nobody wants. */
export async function discard(answer: Answer): Promise<void> {
  await answer.body.dump().catch(() => {});
}
