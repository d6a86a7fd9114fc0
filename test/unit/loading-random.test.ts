import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashSeed, Random } from '../../src/loading/random.js';

describe('Random', () => {
  it('gives the published sequence of xoshiro128**', () => {
    // Against the definition of Blackman and Vigna, "Scrambled linear pseudorandom number generators".
    const random = new Random([1, 2, 3, 4]);
    const numbers = Array.from({ length: 100 }, () => random.uint32());
    expect(numbers).toEqual(reference([1, 2, 3, 4], 100));
    expect(numbers.slice(0, 2)).toEqual([11520, 0]); // ((2 * 5) <<< 7) * 9, then s[1] = 2 ^ 3 ^ 1 = 0
  });

  it('goes on from a saved state', () => {
    const random = new Random(hashSeed(5));
    random.next();
    const copy = new Random(JSON.parse(JSON.stringify(random.state())));
    expect([copy.next(), copy.below(100)]).toEqual([random.next(), random.below(100)]);
  });

  it('keeps to its bounds', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 31 }), (seed, bound) => {
        const random = new Random(hashSeed(seed));
        const drawn = random.below(bound);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn < bound).toBe(true);
        const real = random.uniform(-1, 2);
        expect(real >= -1 && real < 2).toBe(true);
      }),
    );
  });

  it('draws evenly', () => {
    const random = new Random(hashSeed('even'));
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]!++;
    // The 0.999 quantile of chi-squared with 9 degrees of freedom is 27.9.
    const chiSquared = counts.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0);
    expect(chiSquared).toBeLessThan(27.9);
  });

  it('permutes: every index once', () => {
    const order = new Random(hashSeed(1)).permutation(1000);
    expect([...order]).not.toEqual([...order].sort((a, b) => a - b));
    expect(new Set(order).size).toBe(1000);
  });
});

describe('hashSeed', () => {
  it('separates seeds, purposes, epochs and samples', () => {
    const states = new Set<string>();
    for (const seed of [0, 1]) {
      for (const purpose of ['shuffle', 'augment']) {
        for (let i = 0; i < 1000; i++) states.add(hashSeed(seed, purpose, i % 10, Math.floor(i / 10)).join());
      }
    }
    expect(states.size).toBe(4000);
    expect(hashSeed('ab', 'c')).not.toEqual(hashSeed('a', 'bc'));
    expect(hashSeed(2 ** 32)).not.toEqual(hashSeed(0));
  });

  it('starts neighbouring seeds far apart', () => {
    // First draws of 10,000 neighbours must look uniform: mean 0.5 with standard error 0.0029.
    let sum = 0;
    for (let i = 0; i < 10_000; i++) sum += new Random(hashSeed(1, 'augment', 0, i)).next();
    expect(Math.abs(sum / 10_000 - 0.5)).toBeLessThan(0.012);
  });

  it('refuses a fraction', () => {
    expect(() => hashSeed(0.5)).toThrow('Expected an integer for a seed part but received 0.5');
  });
});

/** xoshiro128** in big integers, from the paper's definition. */
function reference(state: number[], count: number): number[] {
  const wrap = (x: bigint) => x & 0xffffffffn;
  const rotate = (x: bigint, k: bigint) => wrap(x << k) | (x >> (32n - k));
  const s = state.map(BigInt) as [bigint, bigint, bigint, bigint];
  return Array.from({ length: count }, () => {
    const result = wrap(rotate(wrap(s[1] * 5n), 7n) * 9n);
    const t = wrap(s[1] << 9n);
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11n);
    return Number(result);
  });
}
