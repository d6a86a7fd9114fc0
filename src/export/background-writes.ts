import { setImmediate as turn } from 'node:timers/promises';
import { span } from '../profile/index.js';

/** Maps of 320 x 320 are 2 MB each; with raw attention 25 MB. */
const DEFAULT_BUDGET = 64 * 2 ** 20;
/** As many as libuv has threads: more would only wait for one. */
const MOST_AT_ONCE = 4;

/**
 * Encodes and writes results while the next ones are computed. What waits to be written is bounded in bytes, so memory
 * does not grow where the disk is slower than the computing.
 */
export class BackgroundWrites {
  readonly #budget: number;
  readonly #running = new Set<Promise<void>>();
  #bytes = 0;
  #failed = false;
  #failure: unknown;

  /** @param budget bytes of results that may wait; a larger one waits alone */
  constructor(budget = DEFAULT_BUDGET) {
    this.#budget = budget;
  }

  /** Bytes of results that are not written yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Starts a write of a result of `bytes` as soon as there is room for it, and resolves then.
   * @throws what a write before it threw
   */
  async add(bytes: number, write: () => Promise<void>): Promise<void> {
    await span('wait for files', () => this.#room(bytes));
    this.#throwFailure();
    this.#bytes += bytes;
    const running = this.#run(write).finally(() => {
      this.#bytes -= bytes;
      this.#running.delete(running);
    });
    this.#running.add(running);
    // Disks and encoders answer through the event loop, which a loop of computing alone would never let turn.
    await turn();
  }

  /** Waits for all writes; never throws. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Waits for all writes. @throws what the first that failed threw */
  async finish(): Promise<void> {
    await this.settle();
    this.#throwFailure();
  }

  async #room(bytes: number): Promise<void> {
    const isFull = () => this.#bytes + bytes > this.#budget || this.#running.size >= MOST_AT_ONCE;
    while (this.#running.size > 0 && isFull()) await Promise.race(this.#running);
  }

  async #run(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!this.#failed) this.#failure = error;
      this.#failed = true;
    }
  }

  #throwFailure(): void {
    if (this.#failed) throw this.#failure;
  }
}
