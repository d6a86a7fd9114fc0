/**
 * Seeded random numbers. Every component owns a generator of its own, derived from the run's seed and
 * from what the draws are for, so that no component's draws shift another's.
 */

/** The 128 bits of a generator: four unsigned 32-bit words. Plain numbers, so it can be saved as JSON. */
export type RandomState = [number, number, number, number];

/** MurmurHash3's finaliser: every input bit reaches every output bit. */
function scramble(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Mixes numbers and strings into a generator state: the same parts in the same order give the same state.
 *
 * @param parts for example `hashSeed(seed, 'augment', epoch, index)`; numbers must be integers within 2^53
 */
export function hashSeed(...parts: readonly (number | string)[]): RandomState {
  // Four lanes with different starts (SHA-256's first round constants): together 128 independent bits.
  const lanes: RandomState = [0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5];
  const absorb = (word: number): void => {
    for (let i = 0; i < 4; i++) {
      lanes[i] = scramble((Math.imul(lanes[i]!, 0x9e3779b1) + word + i) | 0);
    }
  };
  for (const part of parts) {
    if (typeof part === 'string') {
      // The length separates ('ab', 'c') from ('a', 'bc').
      absorb(part.length);
      for (let i = 0; i < part.length; i++) absorb(part.charCodeAt(i));
    } else {
      if (!Number.isSafeInteger(part)) {
        throw new RangeError(`Expected an integer for a seed part but received ${part}`);
      }
      absorb(part | 0);
      absorb(Math.floor(part / 2 ** 32) | 0);
    }
  }
  // xoshiro's only forbidden state is all zeros.
  if (lanes.every((lane) => lane === 0)) lanes[0] = 1;
  return lanes;
}

/** xoshiro128** 1.1 (Blackman and Vigna, 2018): small, fast, and its state is four words. */
export class Random {
  readonly #s: Uint32Array;

  /** @param state from `hashSeed(...)`, or what `state()` returned earlier */
  constructor(state: RandomState) {
    this.#s = Uint32Array.from(state);
  }

  /** The present state; `new Random(state)` goes on from it. */
  state(): RandomState {
    return [this.#s[0]!, this.#s[1]!, this.#s[2]!, this.#s[3]!];
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const s = this.#s;
    const x = Math.imul(s[1]!, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }

  /** A double in [0, 1) with 53 random bits. */
  next(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** A double in [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** An integer in [0, bound), each equally likely to within 2^-53. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** A random permutation of 0..length-1 (Fisher-Yates). */
  permutation(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const swap = order[i]!;
      order[i] = order[j]!;
      order[j] = swap;
    }
    return order;
  }
}
