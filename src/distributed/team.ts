import { createHash } from 'node:crypto';
import type { ProcessGroup } from './process-group.js';

/** One process has other settings or data than the rest; all of them throw it. */
export class TeamMismatch extends Error {
  override readonly name = 'TeamMismatch';
}

/**
 * The processes that do one job together, all of which call each method at the same point. Alone, the default, a team
 * of one: nothing is sent and every answer is its own.
 */
export class Team {
  /** @param group absent: this process alone */
  constructor(readonly group?: ProcessGroup) {}

  get rank(): number {
    return this.group?.rank ?? 0;
  }
  get size(): number {
    return this.group?.size ?? 1;
  }
  /** The one process that writes files and speaks. */
  get isLead(): boolean {
    return this.rank === 0;
  }

  /** Every process's value, by rank: anything that JSON carries, and numbers that are not finite. */
  async gather<T>(value: T): Promise<T[]> {
    return this.group ? this.group.allGatherObject(value) : [value];
  }

  /** Whether any process says so. */
  async any(flag: boolean): Promise<boolean> {
    return (await this.gather(flag)).includes(true);
  }

  /** Waits until all processes have come. */
  async meet(): Promise<void> {
    await this.group?.barrier();
  }

  /**
   * Checks that all processes were started alike.
   * @param facts what must be equal, by what people call it
   * @throws TeamMismatch on every process, naming the first rank that differs, and in what
   */
  async agree(facts: Readonly<Record<string, unknown>>): Promise<void> {
    const checksum = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex');
    const names = Object.keys(facts);
    const all = await this.gather(names.map((name) => checksum(facts[name])));
    for (const [rank, theirs] of all.entries()) {
      const differing = names.filter((_, i) => theirs[i] !== all[0]![i]);
      if (differing.length === 0) continue;
      throw new TeamMismatch(
        `Expected all ${this.size} processes to have the same ${differing.join(' and ')} but rank ${rank} has another ` +
          'than rank 0. Start every process with the same arguments, version and data.',
      );
    }
  }

  /** Says where this process is, as "iteration 812", for the others' message should it be lost. */
  at(place: string): void {
    this.group?.at(place);
  }

  /** Says that this process ends by a fault of its own, for the others' message. Blocks for up to some seconds. */
  failed(fault: string): void {
    this.group?.failed(fault);
  }

  /** Ends the group on this process. */
  async leave(): Promise<void> {
    await this.group?.destroy();
  }
}
