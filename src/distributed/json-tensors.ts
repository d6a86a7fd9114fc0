/** @throws TypeError for what JSON cannot carry: undefined, functions, cycles, bigints */
export function toJsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify(value);
  if (text === undefined)
    throw new TypeError(
      `Expected a value that JSON can carry for allGatherObject() but received ${typeof value}`,
    );
  return new TextEncoder().encode(text);
}

export function fromJsonBytes(bytes: Uint8Array, length: number): unknown {
  return JSON.parse(new TextDecoder().decode(bytes.subarray(0, length)));
}
