/** In which order an epoch visits the samples of a split. */
import { UsageError } from '../config/errors.js';
import { hashSeed, Random } from './random.js';

export interface EpochOrder {
  /** Samples in one epoch. */
  readonly length: number;
  /** Indices of epoch `epoch`; the same whenever it is asked for. */
  of(epoch: number): Uint32Array;
}

/** Every sample once, shuffled anew for each epoch. */
export function shuffledOrder(length: number, seed: number): EpochOrder {
  return { length, of: (epoch) => new Random(hashSeed(seed, 'shuffle', epoch)).permutation(length) };
}

/**
 * As many samples with a class as without: of the more frequent kind each epoch takes another random part, so that
 * no sample comes twice in an epoch and every one has its turn.
 * @param positive whether each sample has a class
 * @throws UsageError when one kind is missing: there is nothing to balance
 */
export function balancedOrder(positive: readonly boolean[], seed: number): EpochOrder {
  const kinds = [true, false].map((kind) =>
    Uint32Array.from(positive.flatMap((is, index) => (is === kind ? [index] : []))),
  );
  const [positives, negatives] = kinds.map((indices) => indices.length) as [number, number];
  const each = Math.min(positives, negatives);
  if (each === 0) {
    throw new UsageError(
      `Expected images with and without a class for train.sampling: balanced but received ${positives} with and ` +
        `${negatives} without. Set train.sampling: shuffle.`,
    );
  }
  const of = (epoch: number) => {
    const random = new Random(hashSeed(seed, 'balanced', epoch));
    const taken = kinds.flatMap((kind) => {
      const order = random.permutation(kind.length).subarray(0, each);
      return [...order].map((i) => kind[i]!);
    });
    return random.permutation(taken.length).map((i) => taken[i]!);
  };
  return { length: 2 * each, of };
}
