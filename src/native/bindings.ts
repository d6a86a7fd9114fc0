/**
 * The addon's functions, as native/**\/*.cc registers them. Declared as values, so that an addon of another version is known
 * when it is loaded. Only src/native, src/tensor and their like call them.
 */
import { DISTRIBUTED } from './bindings/distributed.js';
import { LEARNING } from './bindings/learning.js';
import { NETWORK } from './bindings/network.js';
import type { Functions } from './bindings/signature.js';
import { SYSTEM } from './bindings/system.js';
import { TENSOR } from './bindings/tensor.js';

const DECLARED = { ...SYSTEM, ...TENSOR, ...LEARNING, ...NETWORK, ...DISTRIBUTED };

/** Not on Windows. */
interface FileMapping {
  /** A file's pages as memory, until unmapFile(). */
  mapFile?(path: string): ArrayBuffer;
  unmapFile?(buffer: ArrayBuffer): void;
}

export type Bindings = Functions<typeof DECLARED> & FileMapping;

/**
 * How an addon differs from what is declared here, in words; nothing where it is of this version.
 * @param addon what was loaded
 */
export function differences(addon: Partial<Bindings>): string[] {
  return Object.entries(DECLARED).flatMap(([name, { count }]) => {
    const found = addon[name as keyof Bindings] as unknown;
    if (typeof found !== 'function') return `${name}() is missing`;
    return found.length === count ? [] : `${name}() takes ${found.length} arguments instead of ${count}`;
  });
}
