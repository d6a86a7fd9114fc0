/** Faults of source data: counted by kind, told with examples, and either fatal together or skipped together. */

import { UsageError } from '../config/errors.js';

export const FAULT_POLICIES = ['stop', 'skip'] as const;
/** `stop` refuses the whole source before anything is written; `skip` leaves the faulty parts out and says so. */
export type FaultPolicy = (typeof FAULT_POLICIES)[number];

/** Enough to see a pattern; a wrong folder has one fault for every image. */
const EXAMPLES = 3;

/** Collects faults while everything is looked at. */
export class Faults {
  readonly #kinds = new Map<string, { count: number; examples: string[] }>();

  /**
   * @param kind the fault in the plural, as it is counted: "missing images"
   * @param where what has it, with the values that are wrong
   */
  add(kind: string, where: string): void {
    const entry = this.#kinds.get(kind) ?? { count: 0, examples: [] };
    entry.count++;
    if (entry.examples.length < EXAMPLES) entry.examples.push(where);
    this.#kinds.set(kind, entry);
  }

  get total(): number {
    return [...this.#kinds.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** Counts by kind, for the dataset's `dataset.json`. */
  counts(): Record<string, number> {
    return Object.fromEntries([...this.#kinds].map(([kind, { count }]) => [kind, count]));
  }

  /** One line for each kind. */
  lines(): string[] {
    return [...this.#kinds].map(([kind, { count, examples }]) => {
      const more = count > examples.length ? `; and ${count - examples.length} more` : '';
      return `${count} ${kind}: ${examples.join('; ')}${more}`;
    });
  }

  /** @throws UsageError with all faults under the policy `stop` */
  settle(policy: FaultPolicy, source: string): void {
    if (policy === 'skip' || this.total === 0) return;
    throw new UsageError(
      `Expected sound data for ${source} but received ${this.total} fault${this.total === 1 ? '' : 's'}:\n` +
        `${this.lines()
          .map((line) => `  - ${line}`)
          .join('\n')}\nNothing was written. Mend them, or leave such parts out with --bad_data skip.`,
    );
  }
}
