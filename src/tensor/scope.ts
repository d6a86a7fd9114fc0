import { native } from '../native/index.js';
import type { Tensor } from './tensor.js';

/** Tensors of all open scopes, those of the innermost last; what lies behind `count` is empty. */
const made: (Tensor | undefined)[] = [];
let count = 0;
let depth = 0;

/** Called by Tensor's constructor alone. */
export function register(tensor: Tensor): void {
  if (depth > 0) made[count++] = tensor;
}

/** Takes a tensor out of its scope: it lives until dispose() or the garbage collector. */
export function keep<T extends Tensor>(tensor: T): T {
  const at = made.lastIndexOf(tensor, count);
  if (at !== -1) {
    made[at] = undefined;
    tensor.reportMemory();
  }
  return tensor;
}

/** Opens or closes one more scope; V8 hears of tensors' memory outside of all. */
function deepen(by: 1 | -1): void {
  depth += by;
  if (depth === (by === 1 ? 1 : 0)) native.setScoped(depth > 0);
}

/** Closes the innermost scope, which began at `from`: frees its tensors but those that it hands on. */
function close(from: number, handedOn?: ReadonlySet<unknown>): void {
  deepen(-1);
  const end = count;
  count = from;
  for (let i = from; i < end; i++) {
    const tensor = made[i];
    made[i] = undefined;
    if (!tensor) continue;
    if (!handedOn?.has(tensor)) tensor.dispose();
    else if (depth > 0) register(tensor);
    else tensor.reportMemory();
  }
}

/** Adds `value` and what it holds to `found`; an object that holds itself is entered once. */
function searchTensors(value: unknown, found: Set<unknown>): Set<unknown> {
  if (value === null || typeof value !== 'object' || found.has(value)) return found;
  found.add(value);
  if (Array.isArray(value)) for (const v of value) searchTensors(v, found);
  else if (value instanceof Map) for (const v of value.values()) searchTensors(v, found);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const v of Object.values(value)) searchTensors(v, found);
  return found;
}

/** @throws TypeError for a promise, whose work would go on outside `where` */
function refusePromise<T>(result: T, where: string): T {
  if (!(result instanceof Promise)) return result;
  result.catch(() => {});
  throw new TypeError(
    `Expected a synchronous function for ${where}() but received one that returns a promise; ` +
      'await outside, or dispose() tensors yourself.',
  );
}

/**
 * Runs `body` and frees every tensor made in it, except those in what it returns (arrays, maps and plain
 * objects are searched), which pass to the enclosing scope. Node frees garbage only when the event loop turns,
 * so a synchronous training step without a scope would hold everything it made.
 * @throws TypeError when `body` returns a promise: its tensors would be freed while still in use.
 */
export function scope<T>(body: () => T): T {
  const from = count;
  deepen(1);
  let result: T;
  try {
    result = refusePromise(body(), 'scope');
  } catch (error) {
    close(from);
    throw error;
  }
  close(from, typeof result === 'object' && result !== null ? searchTensors(result, new Set()) : undefined);
  return result;
}

/**
 * Runs `body` without recording operations for backward().
 * @throws TypeError when `body` returns a promise: what it awaits would record again
 */
export function noGrad<T>(body: () => T): T {
  const before = native.isGradEnabled();
  native.setGradEnabled(false);
  try {
    return refusePromise(body(), 'noGrad');
  } finally {
    native.setGradEnabled(before);
  }
}

export interface MemoryUse {
  /** Tensors that JavaScript holds, and their bytes (of those of 4 KB and more). A leak shows here as a number. */
  liveTensors: number;
  liveBytes: number;
  /** Bytes of the pool for CPU tensors of 2 MB and more (Linux), and how many of them wait for the next tensor. */
  pooledBytes: number;
  idleBytes: number;
}

export function memory(): MemoryUse {
  const { liveTensors, liveBytes, pooledBytes, idleBytes } = native.memory();
  return { liveTensors, liveBytes, pooledBytes, idleBytes };
}

/**
 * Gives memory that waits for the next large CPU tensor back to the system (torch.cuda.empty_cache, for the CPU). For
 * programs that go on to other work; the pool stays below what was once in use at one time without it.
 */
export const emptyCache = (): void => native.emptyCache();

/** How often values were read from tensors (item(), data(), ...) in this thread: for each a GPU is waited for. */
export const hostReads = (): number => native.memory().hostReads;
