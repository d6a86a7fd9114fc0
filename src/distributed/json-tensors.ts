/** JSON has no NaN and no infinities: a diverged loss must not arrive as null, which counts as 0. */
const NUMBER = '$number';

const replacer = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? { [NUMBER]: String(value) } : value;

const reviver = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && NUMBER in value ? Number(value[NUMBER]) : value;

/** @throws TypeError for what JSON cannot carry: undefined, functions, cycles, bigints */
export function toJsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify(value, replacer);
  if (text === undefined)
    throw new TypeError(
      `Expected a value that JSON can carry for allGatherObject() but received ${typeof value}`,
    );
  return new TextEncoder().encode(text);
}

export function fromJsonBytes(bytes: Uint8Array, length: number): unknown {
  return JSON.parse(new TextDecoder().decode(bytes.subarray(0, length)), reviver);
}
