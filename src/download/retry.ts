import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from './request.js';

export interface RetryOptions {
  signal?: AbortSignal;
  /** Told of a try that failed and will be repeated. */
  onRetry?: (reason: string) => void;
  /** Wait before the first repetition, in milliseconds; it doubles with each that brings nothing. Default 1000. */
  retryWait?: number;
}

/** Tries that bring nothing, after which to give up; as many as huggingface_hub's. */
const MAX_TRIES = 5;
const LONGEST_WAIT = 60_000;

/**
 * Tries again what failed for a reason that may pass, a few times.
 * @param advance how far the work is: a try that moves it on begins the count anew
 * @throws what the last try threw; everything but a TransientError at once
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  { signal, onRetry, retryWait = 1000 }: RetryOptions,
  advance: () => number = () => 0,
): Promise<T> {
  for (let tries = 0; ; ) {
    const before = advance();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      tries = advance() > before ? 1 : tries + 1;
      if (tries >= MAX_TRIES) throw error;
      onRetry?.(error.message);
      await sleep(Math.min(error.wait ?? retryWait * 2 ** (tries - 1), LONGEST_WAIT), undefined, { signal });
    }
  }
}
