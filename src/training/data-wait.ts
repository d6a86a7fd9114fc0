/** How much of their time the iterations of a training wait for batches: the first question when one is slow. */
export class DataWait {
  #startedAt = 0;
  #waited = 0;
  /** Milliseconds since the last `take`, and in all: waiting, and of whole iterations. */
  #recent = { waiting: 0, whole: 0 };
  readonly #total = { waiting: 0, whole: 0 };

  /** Begins an iteration with waiting for its batch. */
  async during<T>(batch: Promise<T>): Promise<T> {
    this.#startedAt = performance.now();
    const got = await batch;
    this.#waited = performance.now() - this.#startedAt;
    return got;
  }

  /** Ends an iteration; what comes until the next one, such as a validation, counts to neither. */
  stepped(): void {
    const whole = performance.now() - this.#startedAt;
    for (const sum of [this.#recent, this.#total]) {
      sum.waiting += this.#waited;
      sum.whole += whole;
    }
  }

  /** Share, 0..1, of the iterations since the last call that was waiting; null when there were none. */
  take(): number | null {
    const share = shareOf(this.#recent);
    this.#recent = { waiting: 0, whole: 0 };
    return share;
  }

  /** Share of all iterations. */
  get overall(): number | null {
    return shareOf(this.#total);
  }
}

/** Four decimals: more would be the clock's noise. */
const shareOf = ({ waiting, whole }: { waiting: number; whole: number }): number | null =>
  whole > 0 ? Math.round((1e4 * waiting) / whole) / 1e4 : null;
