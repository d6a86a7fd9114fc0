import type { RawTensor } from '../tensor/index.js';
import { numel } from '../tensor/index.js';

/** FNV-1a, 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** xorshift32 from a non-zero seed: numbers in [-1, 1). */
function* uniforms(seed: number): Generator<number> {
  let x = seed || 1;
  for (;;) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield (x >>> 0) / 2 ** 31 - 1;
  }
}

/** How a uniform number becomes a weight, by the entry's name and rank. */
function rule(name: string, shape: readonly number[]): (u: number) => number {
  if (shape.length >= 2) {
    const bound = Math.sqrt(3 / numel(shape.slice(1)));
    return (u) => u * bound;
  }
  if (name.endsWith('running_mean')) return (u) => 0.1 * u;
  if (name.endsWith('running_var')) return (u) => 1 + 0.25 * Math.abs(u);
  if (name.endsWith('.weight')) return (u) => 1 + 0.1 * u;
  return (u) => 0.05 * u;
}

/**
 * A state-dict entry filled from its own name alone, so that any implementation can build the same model
 * without a weight file: the scheme of the reference fixtures.
 */
export function deterministicWeight(name: string, shape: readonly number[]): RawTensor {
  if (name.endsWith('num_batches_tracked')) return { dtype: 'int64', shape: [], data: new Uint8Array(8) };
  const values = new Float32Array(numel(shape));
  const transform = rule(name, shape);
  const numbers = uniforms(fnv1a(name));
  for (let i = 0; i < values.length; i++) values[i] = transform(numbers.next().value as number);
  return { dtype: 'float32', shape: [...shape], data: new Uint8Array(values.buffer) };
}

/** Every entry of a model's state, filled by name. */
export function deterministicState(
  entries: Iterable<readonly [name: string, entry: { shape: readonly number[] }]>,
): Map<string, RawTensor> {
  return new Map([...entries].map(([name, { shape }]) => [name, deterministicWeight(name, shape)]));
}
