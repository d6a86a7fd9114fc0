/** Ctrl-C: the first asks the loop to stop after its step, the second leaves at once. */
export class Interrupt {
  #asked: NodeJS.Signals | undefined;
  readonly #onSignal = (signal: NodeJS.Signals) => {
    this.#asked = signal;
    this.close();
    if (this.promise) process.stderr.write(`\n${this.promise}; press Ctrl-C again to leave at once.\n`);
  };

  /** @param promise what the first Ctrl-C leads to, as the user is told; empty where another process tells it */
  constructor(readonly promise = 'Stopping after this step and saving last.pth') {
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
  }

  get asked(): NodeJS.Signals | undefined {
    return this.#asked;
  }

  /** Gives the signals back to their default, which ends the process even while a step computes. */
  close(): void {
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
  }
}

/**
 * Lets signals, loader messages and logs through between two steps. Immediates run right after the event loop has
 * looked for signals: the second one is behind a look that came after the step, wherever in the loop that ran.
 */
export const breathe = (): Promise<void> =>
  new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
