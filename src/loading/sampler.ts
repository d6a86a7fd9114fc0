import { expected, UsageError } from '../config/errors.js';
import type { Config } from '../config/schema.js';
import type { BatchTask, Position } from './batch.js';
import { balancedOrder, type EpochOrder, shuffledOrder } from './epoch-order.js';

/** An order in which samples are visited, batch by batch. */
export interface Sampler {
  /** Position of the next task. */
  position(): Position;
  /** The next batch's samples; undefined at the end, which training has not. */
  next(): BatchTask | undefined;
}

export interface ShuffleOptions {
  /** Samples in the split. */
  length: number;
  /** Whether each sample has a class: epochs then hold as many with as without. Absent: every sample, once. */
  balance?: readonly boolean[] | undefined;
  /** Samples in one batch of one process. */
  batchSize: number;
  seed: number;
  start?: Position | undefined;
  /** This process, of `worldSize`: each takes its share of every global batch. */
  rank?: number | undefined;
  worldSize?: number | undefined;
}

/**
 * Endless training order: each epoch is a permutation drawn from (seed, epoch); an epoch's last, incomplete
 * batch is dropped. The batches of all ranks together are the batches of one process with
 * `worldSize * batchSize`.
 */
export class ShuffleSampler implements Sampler {
  readonly #options: ShuffleOptions;
  readonly #epochs: EpochOrder;
  readonly #globalBatch: number;
  #epoch: number;
  #cursor: number;
  #order: Uint32Array | undefined;

  /** @throws UsageError when one global batch needs more samples than there are, or for a bad position */
  constructor(options: ShuffleOptions) {
    const { balance, batchSize, seed, start = { epoch: 0, cursor: 0 }, worldSize = 1 } = options;
    this.#options = options;
    this.#epochs = balance ? balancedOrder(balance, seed) : shuffledOrder(options.length, seed);
    const { length } = this.#epochs;
    this.#globalBatch = batchSize * worldSize;
    if (this.#globalBatch > length) {
      throw new UsageError(
        `Expected at least ${this.#globalBatch} training samples (train.samples_per_gpu ${batchSize} x ` +
          `${worldSize} processes) but received ${length}. Lower train.samples_per_gpu or add data.`,
      );
    }
    const sound = [start.epoch, start.cursor].every((n) => Number.isSafeInteger(n) && n >= 0);
    if (!sound || start.cursor > length) {
      throw new UsageError(
        `${expected(`an epoch and a cursor from 0 to ${length}`, 'the position to go on from', [start.epoch, start.cursor])}. ` +
          'The checkpoint belongs to other data: resume with the data that it was trained on.',
      );
    }
    this.#epoch = start.epoch;
    this.#cursor = start.cursor;
  }

  position(): Position {
    return { epoch: this.#epoch, cursor: this.#cursor };
  }

  next(): BatchTask {
    const { batchSize, rank = 0 } = this.#options;
    if (this.#cursor + this.#globalBatch > this.#epochs.length) {
      this.#epoch++;
      this.#cursor = 0;
      this.#order = undefined;
    }
    this.#order ??= this.#epochs.of(this.#epoch);
    const from = this.#cursor + rank * batchSize;
    this.#cursor += this.#globalBatch;
    return { epoch: this.#epoch, indices: [...this.#order.subarray(from, from + batchSize)] };
  }
}

/**
 * Evaluation order: every sample once, first to last. Of several processes each takes every `worldSize`-th sample from
 * its rank on, so that all of them together see each sample once, whatever the length.
 */
export class SequentialSampler implements Sampler {
  readonly #length: number;
  readonly #batchSize: number;
  readonly #rank: number;
  readonly #worldSize: number;
  #cursor = 0;

  constructor(length: number, batchSize: number, { rank = 0, worldSize = 1 } = {}) {
    this.#length = Math.ceil((length - rank) / worldSize);
    this.#batchSize = batchSize;
    this.#rank = rank;
    this.#worldSize = worldSize;
  }

  position(): Position {
    return { epoch: 0, cursor: this.#cursor };
  }

  next(): BatchTask | undefined {
    const from = this.#cursor;
    if (from >= this.#length) return undefined;
    this.#cursor = Math.min(this.#length, from + this.#batchSize);
    const at = (i: number) => this.#rank + (from + i) * this.#worldSize;
    return { epoch: 0, indices: Array.from({ length: this.#cursor - from }, (_, i) => at(i)) };
  }
}

/** The order that a configuration trains in, for a split with these labels. */
export function trainSampler(
  { train }: Config,
  labels: readonly Uint8Array[],
  place: Pick<ShuffleOptions, 'start' | 'rank' | 'worldSize'> = {},
): ShuffleSampler {
  const balance =
    train.sampling === 'balanced' ? labels.map((label) => label.some((value) => value > 0)) : undefined;
  const { seed, samples_per_gpu: batchSize } = train;
  return new ShuffleSampler({ length: labels.length, balance, batchSize, seed, ...place });
}
