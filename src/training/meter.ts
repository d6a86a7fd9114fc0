import type { StepResult } from './step.js';

const LOSSES = ['loss', 'clsLoss', 'segLoss', 'affLoss'] as const;
export type Losses = Record<(typeof LOSSES)[number], number>;

/** Means over the steps since the last log line. */
export class Meter {
  #steps: Losses[];

  constructor(pending: readonly Losses[] = []) {
    this.#steps = [...pending];
  }

  get pending(): readonly Losses[] {
    return this.#steps;
  }
  add({ loss, clsLoss, segLoss, affLoss }: StepResult): void {
    this.#steps.push({ loss, clsLoss, segLoss, affLoss });
  }
  take(): Losses {
    // Of no steps, all of them skipped, there is no mean: NaN here, null in metrics.jsonl.
    const mean = (name: keyof Losses) =>
      this.#steps.reduce((sum, step) => sum + step[name], 0) / this.#steps.length;
    const means = Object.fromEntries(LOSSES.map((name) => [name, mean(name)])) as Losses;
    this.#steps = [];
    return means;
  }
}
