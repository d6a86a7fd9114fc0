/** The download of weights against a hub on this machine; no test asks the real one. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { hubOf } from '../../src/download/hub.js';
import { downloadPretrained, type PretrainedOptions } from '../../src/download/pretrained.js';
import { ask } from '../../src/download/request.js';
import { breakAfter, gitHash, HubServer, sha256 } from './hub-server.js';

/** Bytes that no two places share, so that a part put at the wrong place shows. */
const content = (length: number, seed = 'a'): Buffer => {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    createHash('sha256').update(`${seed}${i}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
};
const BYTES = content(300_000);

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

let hub: HubServer;
let dir: string;
beforeEach(async () => {
  hub = await HubServer.start();
  dir = mkdtempSync(join(tmpdir(), 'afa-hub-'));
  made.push(dir);
});

/** Nothing of this machine's own settings: HF_HOME is an empty folder. */
const environment = (more: Record<string, string> = {}) => ({
  HF_ENDPOINT: hub.endpoint,
  HF_HOME: join(dir, 'home'),
  ...more,
});

const retries: string[] = [];
function download(env: Record<string, string> = {}, more: Partial<PretrainedOptions> = {}) {
  retries.length = 0;
  return downloadPretrained('mit_b0', {
    hub: hubOf(environment(env)),
    dir,
    revision: 'main',
    overwrite: false,
    retryWait: 1,
    onRetry: (reason) => retries.push(reason),
    ...more,
  });
}

const files = () => readdirSync(dir).sort();
const gets = () => hub.seen.filter(({ method, host }) => method === 'GET' && host === 'storage');

describe('a file of the hub', () => {
  it('comes through the redirect to its storage, with the size and hash that were announced', async () => {
    hub.put('model.safetensors', BYTES);
    const counts: number[] = [];
    const result = await download({}, { onStart: () => (done) => counts.push(done) });
    expect(result).toMatchObject({
      path: join(dir, 'mit_b0.safetensors'),
      present: false,
      announced: { kind: 'sha256', hash: sha256(BYTES), size: BYTES.length },
    });
    expect(readFileSync(result.path)).toEqual(BYTES);
    expect(files()).toEqual(['mit_b0.safetensors']);
    expect(counts.at(-1)).toBe(BYTES.length);
  });

  it('is pytorch_model.bin where there are no safetensors, and the small one is checked by git’s hash', async () => {
    hub.put('pytorch_model.bin', BYTES, { small: true });
    const result = await download();
    expect(result).toMatchObject({ path: join(dir, 'mit_b0.bin'), announced: { kind: 'git-sha1' } });
    // `printf hello | git hash-object --stdin`
    expect(gitHash(Buffer.from('hello'))).toBe('b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0');
    expect(result.announced?.hash).toBe(gitHash(BYTES));
  });

  it('is not fetched again when it is there', async () => {
    hub.put('model.safetensors', BYTES);
    await download();
    hub.seen.length = 0;
    expect(await download()).toMatchObject({ present: true });
    expect(hub.seen.map(({ method }) => method)).toEqual(['HEAD']);
  });

  it('never replaces another file unasked', async () => {
    hub.put('model.safetensors', BYTES);
    writeFileSync(join(dir, 'mit_b0.safetensors'), 'mine');
    await expect(download()).rejects.toThrow(/another one is there.*--overwrite/s);
    expect(readFileSync(join(dir, 'mit_b0.safetensors'), 'utf8')).toBe('mine');
    await download({}, { overwrite: true });
    expect(readFileSync(join(dir, 'mit_b0.safetensors'))).toEqual(BYTES);
  });

  it('is found behind a renamed model (a redirect to a path)', async () => {
    hub.put('model.safetensors', BYTES, {}, 'mit-b0-renamed');
    hub.onHub = (request, response) => {
      if (request.url!.includes('renamed')) return false;
      response.writeHead(307, { location: request.url!.replace('mit-b0', 'mit-b0-renamed') }).end();
      return true;
    };
    await download();
    expect(readFileSync(join(dir, 'mit_b0.safetensors'))).toEqual(BYTES);
  });
});

describe('an interrupted transfer', () => {
  it('goes on by itself where the line broke', async () => {
    hub.put('model.safetensors', BYTES);
    let breaks = 2;
    hub.onStorage = (...exchange) => breaks-- > 0 && breakAfter(100_000, BYTES)(...exchange);
    await download();
    expect(readFileSync(join(dir, 'mit_b0.safetensors'))).toEqual(BYTES);
    expect(retries).toHaveLength(2);
    const starts = gets().map(({ range }) => Number(range?.slice('bytes='.length, -1) ?? 0));
    expect(starts[0]).toBe(0);
    expect(starts[1]).toBeGreaterThan(0);
    // What came before a break that nobody was reading yet is lost: the next try starts where this one did.
    expect(starts[2]).toBeGreaterThanOrEqual(starts[1]!);
  });

  it('before anybody reads it is a failed try like any other', async () => {
    hub.put('model.safetensors', BYTES);
    hub.onStorage = breakAfter(1000, BYTES);
    const url = `${hub.endpoint}/nvidia/mit-b0/resolve/main/model.safetensors`;
    const answer = await ask(url, { method: 'GET', timeout: 5000 });
    // Time for the line to break while nobody listens: an error event without a listener ends the process.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await expect(answer.body.arrayBuffer()).rejects.toThrow();
  });

  it('leaves a part from which the next command goes on', async () => {
    hub.put('model.safetensors', BYTES);
    let sent = false;
    hub.onStorage = (request, response) => {
      if (!sent) {
        sent = true;
        return breakAfter(120_000, BYTES)(request, response);
      }
      response.destroy();
      return true;
    };
    await expect(download()).rejects.toThrow(/127\.0\.0\.1/);
    // One try that brought bytes, then four that brought none.
    expect(gets()).toHaveLength(5);
    const [part] = files();
    expect(part).toBe(`mit_b0.safetensors.${sha256(BYTES).slice(0, 16)}.incomplete`);
    const there = readFileSync(join(dir, part!)).length;
    expect(there).toBeGreaterThan(0);

    hub.onStorage = () => false;
    hub.seen.length = 0;
    await download();
    expect(gets().map(({ range }) => range)).toEqual([`bytes=${there}-`]);
    expect(readFileSync(join(dir, 'mit_b0.safetensors'))).toEqual(BYTES);
    expect(files()).toEqual(['mit_b0.safetensors']);
  });

  it('starts anew when the hub’s file has changed meanwhile', async () => {
    const part = join(dir, `mit_b0.safetensors.${sha256(content(9, 'old')).slice(0, 16)}.incomplete`);
    writeFileSync(part, content(50_000, 'old'));
    hub.put('model.safetensors', BYTES);
    await download();
    expect(gets().map(({ range }) => range)).toEqual([undefined]);
    expect(files()).toEqual(['mit_b0.safetensors']);
  });

  it('starts anew on a server that ignores ranges', async () => {
    hub.put('model.safetensors', BYTES);
    writeFileSync(
      join(dir, `mit_b0.safetensors.${sha256(BYTES).slice(0, 16)}.incomplete`),
      BYTES.subarray(0, 1000),
    );
    hub.onStorage = (request, response) => {
      delete request.headers.range;
      response.writeHead(200, { 'content-length': BYTES.length }).end(BYTES);
      return true;
    };
    await download();
    expect(readFileSync(join(dir, 'mit_b0.safetensors'))).toEqual(BYTES);
  });

  it('survives an answer to another range than was asked for', async () => {
    hub.put('model.safetensors', BYTES);
    writeFileSync(
      join(dir, `mit_b0.safetensors.${sha256(BYTES).slice(0, 16)}.incomplete`),
      BYTES.subarray(0, 1000),
    );
    hub.onStorage = (request, response) => {
      if (request.headers.range === undefined) return false;
      response.writeHead(206, { 'content-range': `bytes 5-${BYTES.length - 1}/${BYTES.length}` });
      response.end(BYTES.subarray(5));
      return true;
    };
    await download();
    expect(retries).toEqual(['the server cannot go on with the part that is there: starting anew']);
    expect(readFileSync(join(dir, 'mit_b0.safetensors'))).toEqual(BYTES);
  });
});

describe('content that is not what was announced', () => {
  it('is thrown away: wrong hash, also of a part that was resumed', async () => {
    hub.put('model.safetensors', BYTES, { announces: { hash: 'ab'.repeat(32) } });
    await expect(download()).rejects.toThrow(/Expected sha256 (ab){32} for http.*received [0-9a-f]{64}/);
    expect(files()).toEqual([]);
    hub.put('model.safetensors', BYTES);
    const part = join(dir, `mit_b0.safetensors.${sha256(BYTES).slice(0, 16)}.incomplete`);
    writeFileSync(part, content(1000, 'garbage'));
    await expect(download()).rejects.toThrow(/thrown away; run the command again/);
    expect(files()).toEqual([]);
    await download();
    expect(files()).toEqual(['mit_b0.safetensors']);
  });

  it('is refused: fewer bytes, more bytes, no hash, no size', async () => {
    hub.put('model.safetensors', BYTES, { announces: { size: BYTES.length + 1 } });
    await expect(download()).rejects.toThrow(/300000 of 300001 bytes|starting anew/);
    expect(gets().length).toBeLessThan(10);
    hub.put('model.safetensors', BYTES, { announces: { size: BYTES.length - 1 } });
    await expect(download()).rejects.toThrow(/Expected 299999 bytes.*received more/);
    hub.put('model.safetensors', BYTES, { announces: { hash: 'not-a-hash' } });
    await expect(download()).rejects.toThrow(/Expected the size and hash of .*received ETag '"not-a-hash"'/);
    expect(existsSync(join(dir, 'mit_b0.safetensors'))).toBe(false);
  });
});

describe('refusals', () => {
  const refuse = (status: number, code?: string, message?: string) => {
    hub.onHub = (_, response) => {
      response.writeHead(status, {
        ...(code && { 'x-error-code': code }),
        ...(message && { 'x-error-message': message }),
      });
      response.end();
      return true;
    };
  };

  it('404 for every file, for the model, for the revision', async () => {
    await expect(download()).rejects.toThrow(
      `Expected model.safetensors or pytorch_model.bin in nvidia/mit-b0 at ${hub.endpoint} (revision main) but received 404`,
    );
    refuse(404, 'RepoNotFound', 'Repository not found');
    await expect(download()).rejects.toThrow(/404 \(Repository not found\).*set HF_TOKEN/);
    refuse(404, 'RevisionNotFound', 'Invalid rev id: x');
    await expect(download({}, { revision: 'x' })).rejects.toThrow(/no revision 'x'. Check --revision/);
  });

  it('401 and 403 say what a token would need', async () => {
    refuse(401, undefined, 'Invalid username or password.');
    await expect(download()).rejects.toThrow(/401 \(Invalid username.*private or gated.*set HF_TOKEN/);
    refuse(403, 'GatedRepo', 'Access to model nvidia/mit-b0 is restricted');
    await expect(download({ HF_TOKEN: 'hf_x' })).rejects.toThrow(
      /is gated\. Accept its terms at .*\/nvidia\/mit-b0, and check that the token in use/,
    );
    expect(hub.seen.filter(({ method }) => method === 'GET')).toEqual([]);
  });

  it('a busy server is asked again, at the pace that it asks for', async () => {
    hub.put('model.safetensors', BYTES);
    let refusals = 3;
    hub.onHub = (_, response) => {
      if (refusals-- <= 0) return false;
      response.writeHead(refusals === 1 ? 503 : 429, { 'retry-after': '0' }).end();
      return true;
    };
    await download();
    expect(retries).toEqual([
      expect.stringContaining('answers 429'),
      expect.stringContaining('answers 503'),
      expect.stringContaining('answers 429'),
    ]);
  });

  it('nobody there; a server that never answers', async () => {
    await expect(download({ HF_ENDPOINT: 'http://127.0.0.1:9' })).rejects.toThrow(
      '127.0.0.1:9: nothing answers there',
    );
    hub.onHub = () => true;
    const slow = { ...hubOf(environment()), askTimeout: 50 };
    await expect(download({}, { hub: slow })).rejects.toThrow(/no answer in time/);
    expect(retries).toHaveLength(4);
  });

  it('an address that is none', async () => {
    await expect(download({ HF_ENDPOINT: 'my mirror' })).rejects.toThrow(
      /Expected an http or https address for HF_ENDPOINT/,
    );
  });

  it('redirects in a circle', async () => {
    hub.onHub = (request, response) => {
      response.writeHead(302, { location: request.url! }).end();
      return true;
    };
    await expect(download()).rejects.toThrow(/from redirect to redirect/);
  });
});

describe('the environment, as huggingface_hub reads it', () => {
  it('sends the token to the hub and to nobody else', async () => {
    hub.put('model.safetensors', BYTES);
    await download({ HF_TOKEN: ' hf_secret\n' });
    const sent = (host: string) => hub.seen.filter((s) => s.host === host).map((s) => s.authorization);
    expect(new Set(sent('hub'))).toEqual(new Set(['Bearer hf_secret']));
    expect(new Set(sent('storage'))).toEqual(new Set([undefined]));
  });

  it('takes the token of `hf auth login`, unless that is switched off', () => {
    mkdirSync(join(dir, 'home'));
    writeFileSync(join(dir, 'home/token'), 'hf_file\n');
    expect(hubOf(environment()).token).toBe('hf_file');
    expect(hubOf(environment({ HF_TOKEN: 'hf_env' })).token).toBe('hf_env');
    expect(hubOf(environment({ HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' })).token).toBeUndefined();
    expect(hubOf(environment({ HF_TOKEN_PATH: join(dir, 'none') })).token).toBeUndefined();
  });

  it('offline: asks nothing, and takes what is there', async () => {
    hub.put('model.safetensors', BYTES);
    for (const value of ['1', 'ON', 'yes', 'True']) {
      await expect(download({ HF_HUB_OFFLINE: value })).rejects.toThrow(
        /HF_HUB_OFFLINE is set, and .* holds no weights for mit_b0 \(mit_b0\.pth, mit_b0\.safetensors, mit_b0\.bin\)/,
      );
    }
    writeFileSync(join(dir, 'mit_b0.bin'), 'x');
    expect(await download({ HF_HUB_OFFLINE: '1' })).toEqual({ path: join(dir, 'mit_b0.bin'), present: true });
    expect(hub.seen).toEqual([]);
    expect(hubOf({ HF_HUB_OFFLINE: '0' }).offline).toBe(false);
  });

  it('defaults', () => {
    expect(hubOf({ HF_HOME: dir })).toEqual({
      endpoint: 'https://huggingface.co',
      offline: false,
      token: undefined,
      askTimeout: 10_000,
      readTimeout: 10_000,
    });
    expect(hubOf({ HF_HOME: dir, HF_ENDPOINT: 'https://m/', HF_HUB_DOWNLOAD_TIMEOUT: '30' })).toMatchObject({
      endpoint: 'https://m',
      readTimeout: 30_000,
    });
  });
});

describe('the command', () => {
  const script = fileURLToPath(new URL('../../dist/download-pretrained.js', import.meta.url));

  function start(args: string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: dir,
      env: { PATH: process.env.PATH!, ...environment(env) },
    });
    let output = '';
    let stdout = '';
    child.stdout.on('data', (text) => {
      output += text;
      stdout += text;
    });
    const ended = new Promise<{ code: number | null; output: string; stdout: string }>((resolve) =>
      child.on('close', (code) => resolve({ code, output, stdout })),
    );
    const says = (text: string) =>
      new Promise<void>((resolve) => {
        child.stderr.on('data', () => output.includes(text) && resolve());
      });
    child.stderr.on('data', (text) => {
      output += text;
    });
    return { child, ended, says };
  }

  it('fetches several, tells where they are, and which file training takes', async () => {
    hub.put('model.safetensors', BYTES).put('pytorch_model.bin', content(2000), {}, 'mit-b1');
    mkdirSync(join(dir, 'pretrained'));
    writeFileSync(join(dir, 'pretrained/mit_b1.pth'), 'older');
    const { code, stdout } = await start(['mit_b0', 'mit_b1']).ended;
    expect(code).toBe(0);
    expect(stdout).toContain(
      `pretrained/mit_b0.safetensors: 0.3 MB, sha256 ${sha256(BYTES)}, nvidia/mit-b0 at 80983a413c30\n`,
    );
    expect(stdout).toContain('pretrained/mit_b1.bin: ');
    expect(stdout).toContain('Note: training takes pretrained/mit_b1.pth before it');
  });

  it('Ctrl-C keeps the part', async () => {
    hub.put('model.safetensors', BYTES);
    hub.onStorage = (_, response) => {
      response.writeHead(200, { 'content-length': BYTES.length });
      response.write(BYTES.subarray(0, 70_000));
      return true;
    };
    const running = start(['mit_b0']);
    await running.says('0.3 MB from');
    const part = join(dir, `pretrained/mit_b0.safetensors.${sha256(BYTES).slice(0, 16)}.incomplete`);
    await expect.poll(() => existsSync(part) && readFileSync(part).length, { timeout: 5000 }).toBe(70_000);
    running.child.kill('SIGINT');
    const { code, output } = await running.ended;
    expect(code, output).toBe(130);
    expect(output).toContain('the same command goes on from there');
    hub.onStorage = () => false;
    const again = await start(['mit_b0']).ended;
    expect(again.code, again.output).toBe(0);
    expect(again.output).toContain('going on at 0.1 MB');
    expect(gets().at(-1)?.range).toBe('bytes=70000-');
  });

  it.each([
    [[], 'Expected backbones (mit_b0, '],
    [['mit-b1'], "received string 'mit-b1'. Did you mean 'mit_b1'?"],
    [['mit_b0', '--all'], 'received both'],
    [['mit_b0', '--dir', 'file'], '--dir'],
  ])('%j is a usage error', async (args, message) => {
    writeFileSync(join(dir, 'file'), '');
    const { code, output } = await start(args).ended;
    expect(output).toContain(message);
    expect(code).toBe(2);
    expect(hub.seen).toEqual([]);
  });
});
