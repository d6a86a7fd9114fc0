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
  /** Samples left out as the caller asked; training leaves none out. */
  readonly skipped?: number;
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

/** Which samples of a split one process evaluates. */
export interface Share {
  /** This process, of `worldSize`: it takes every `worldSize`-th sample from its rank on. */
  rank?: number | undefined;
  worldSize?: number | undefined;
  /** Samples of the share that are not wanted, by index; asked once for each, before anything is read. */
  skip?: ((index: number) => boolean) | undefined;
}

/**
 * Evaluation order: every sample once, first to last. Several processes together see each sample once, whatever the
 * length.
 */
export class SequentialSampler implements Sampler {
  /** Samples that were skipped. */
  readonly skipped: number;
  readonly #indices: readonly number[];
  readonly #batchSize: number;
  #cursor = 0;

  constructor(length: number, batchSize: number, { rank = 0, worldSize = 1, skip }: Share = {}) {
    const share = Math.max(0, Math.ceil((length - rank) / worldSize));
    const own = Array.from({ length: share }, (_, i) => rank + i * worldSize);
    this.#indices = skip ? own.filter((index) => !skip(index)) : own;
    this.skipped = share - this.#indices.length;
    this.#batchSize = batchSize;
  }

  position(): Position {
    return { epoch: 0, cursor: this.#cursor };
  }

  next(): BatchTask | undefined {
    const from = this.#cursor;
    if (from >= this.#indices.length) return undefined;
    this.#cursor = Math.min(this.#indices.length, from + this.#batchSize);
    return { epoch: 0, indices: this.#indices.slice(from, this.#cursor) };
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
