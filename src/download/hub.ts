/** The Hugging Face hub as the environment describes it: the meaning of each variable is huggingface_hub's. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where to ask, and as whom. */
export interface Hub {
  /** Without a slash at its end. */
  endpoint: string;
  /** No request may be made. */
  offline: boolean;
  token?: string;
  /** Longest wait for the answer about a file, and for the next bytes of one, in milliseconds. */
  askTimeout: number;
  readTimeout: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const isTrue = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? '');

const milliseconds = (value: string | undefined): number => 1000 * (Number.parseInt(value ?? '', 10) || 10);

/**
 * HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN (else the token that `hf auth login` left in HF_TOKEN_PATH or HF_HOME),
 * HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT (seconds).
 */
export function hubOf(env: Environment = process.env): Hub {
  return {
    endpoint: (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, ''),
    offline: isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    token: isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? undefined : findToken(env),
    askTimeout: milliseconds(env.HF_HUB_ETAG_TIMEOUT),
    readTimeout: milliseconds(env.HF_HUB_DOWNLOAD_TIMEOUT),
  };
}

function findToken(env: Environment): string | undefined {
  const given = clean(env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN);
  if (given !== undefined) return given;
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  try {
    return clean(readFileSync(env.HF_TOKEN_PATH || join(home, 'token'), 'utf8'));
  } catch {
    // Nobody has logged in here; public files need no token.
    return undefined;
  }
}

const clean = (token: string | undefined): string | undefined =>
  token?.replace(/[\r\n]/g, '').trim() || undefined;

/** The address of a file of a model, e.g. of `model.safetensors` in `nvidia/mit-b1`. */
export const fileUrl = ({ endpoint }: Hub, repo: string, revision: string, file: string): string =>
  `${endpoint}/${repo}/resolve/${encodeURIComponent(revision)}/${file}`;
