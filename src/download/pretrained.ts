/** ImageNet weights of one backbone: which file of which hub model, and where it lies afterwards. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { findPretrained, pretrainedCandidates } from '../config/pretrained-files.js';
import { type Announced, announcedFile } from './announced.js';
import { fileUrl, type Hub } from './hub.js';
import { RefusedError, TransientError } from './request.js';
import { type RetryOptions, withRetries } from './retry.js';
import { fetchFile, hashFile, incompletePath, sizeOf } from './transfer.js';

/** The hub's file names, the better one first, and the ending under which each is kept. */
const FILES = [
  ['model.safetensors', '.safetensors'],
  ['pytorch_model.bin', '.bin'],
] as const;

export interface PretrainedOptions extends RetryOptions {
  hub: Hub;
  /** Folder that gets the file; it must exist. */
  dir: string;
  /** Branch, tag or commit of the hub's model. */
  revision: string;
  /** Replace a file that is there and is not the hub's. */
  overwrite: boolean;
  /** Called once before bytes come, with those that are there already; its result with each further count. */
  onStart?: (file: string, announced: Announced, there: number) => (done: number) => void;
}

export interface Downloaded {
  path: string;
  /** Nothing was fetched: the file was there, and has the hub's hash. Undefined `announced`: that was not asked. */
  present: boolean;
  announced?: Announced;
}

/** `nvidia/mit-b1` of `mit_b1`. */
export const hubModel = (backbone: string): string => `nvidia/${backbone.replace('_', '-')}`;

/**
 * Puts a backbone's ImageNet weights into a folder, as `{backbone}.safetensors` or `.bin`.
 * @throws UsageError when nothing may be asked (offline) or another file is in the way; Error naming what the hub
 * refused and what to do
 */
export async function downloadPretrained(backbone: string, options: PretrainedOptions): Promise<Downloaded> {
  const { hub, dir, overwrite, onStart } = options;
  if (hub.offline) return presentFile(backbone, dir);
  const { url, ending, announced } = await findOnHub(backbone, options);
  const path = join(dir, backbone + ending);
  if (existsSync(path)) {
    if (sizeOf(path) === announced.size && (await hashFile(path, announced)) === announced.hash)
      return { path, present: true, announced };
    if (!overwrite)
      throw new UsageError(
        `Expected the hub's file as ${path} but another one is there (${announced.kind} is not ${announced.hash}). ` +
          'Move it away, choose another folder with --dir, or replace it with --overwrite.',
      );
  }
  const onProgress = onStart?.(path, announced, sizeOf(incompletePath(path, announced)));
  await fetchFile(url, path, announced, { ...options, onProgress }).catch((error) => {
    if (!(error instanceof TransientError)) throw error;
    throw new Error(`${error.message}, in several tries. The same command goes on from there.`, {
      cause: error,
    });
  });
  return { path, present: false, announced };
}

function presentFile(backbone: string, dir: string): Downloaded {
  const path = findPretrained(join(dir, `${backbone}.pth`));
  if (path !== undefined) return { path, present: true };
  throw new UsageError(
    `HF_HUB_OFFLINE is set, and ${dir} holds no weights for ${backbone} ` +
      `(${pretrainedCandidates(`${backbone}.pth`).join(', ')}). Unset it, or copy the file from another machine.`,
  );
}

async function findOnHub(backbone: string, options: PretrainedOptions) {
  const { hub, revision, signal } = options;
  const repo = hubModel(backbone);
  for (const [file, ending] of FILES) {
    const url = fileUrl(hub, repo, revision, file);
    try {
      const announced = await withRetries(() => announcedFile(url, hub, signal), options);
      return { url, ending, announced };
    } catch (error) {
      if (error instanceof TransientError)
        throw new Error(
          `${error.message}, in several tries. HTTPS_PROXY names a proxy and HF_ENDPOINT a mirror; without network, ` +
            'fetch the file on another machine (pretrained/README.md).',
          { cause: error },
        );
      if (!(error instanceof RefusedError)) throw error;
      const isAbsent = error.status === 404 && (error.hubCode ?? 'EntryNotFound') === 'EntryNotFound';
      if (!isAbsent) throw new Error(explain(error, repo, options), { cause: error });
    }
  }
  throw new Error(
    `Expected ${FILES.map(([file]) => file).join(' or ')} in ${repo} at ${hub.endpoint} (revision ${revision}) but ` +
      'received 404 for each. Check HF_ENDPOINT and --revision.',
  );
}

function explain(error: RefusedError, repo: string, { hub, revision }: PretrainedOptions): string {
  const { status, hubCode, message } = error;
  const page = `${hub.endpoint}/${repo}`;
  const token = hub.token === undefined ? 'set HF_TOKEN to a token' : 'check that the token in use is one';
  if (hubCode === 'GatedRepo')
    return `${message}: ${repo} is gated. Accept its terms at ${page}, and ${token} of that account.`;
  if (hubCode === 'RevisionNotFound')
    return `${message}: ${repo} has no revision '${revision}'. Check --revision.`;
  if (status === 401 || status === 403 || hubCode === 'RepoNotFound')
    return (
      `${message}: ${repo} is private or gated, not there, or the token is wrong. Look at ${page}, and ${token} of ` +
      'an account that may read it.'
    );
  return message;
}
