import { hashSeed, Random } from '../../src/loading/random.js';

/** The product's generator as the plain function that metrics take. */
export function seededRandom(seed: number): () => number {
  const random = new Random(hashSeed(seed, 'metrics'));
  return () => random.next();
}
