import { native } from '../native/index.js';
import type { Tensor } from './tensor.js';

/** Tensors made inside the innermost open scope, freed when it closes. */
const open: Set<Tensor>[] = [];

/** Called by Tensor's constructor alone. */
export function register(tensor: Tensor): void {
  open.at(-1)?.add(tensor);
}

/** Takes a tensor out of its scope: it lives until dispose() or the garbage collector. */
export function keep<T extends Tensor>(tensor: T): T {
  for (const scope of open) scope.delete(tensor);
  return tensor;
}

/** Adds `value` and what it holds to `found`; an object that holds itself is entered once. */
function tensorsIn(value: unknown, found: Set<unknown>, isTensor: (v: unknown) => boolean): void {
  if (value === null || typeof value !== 'object' || found.has(value)) return;
  found.add(value);
  if (isTensor(value)) return;
  if (Array.isArray(value)) for (const v of value) tensorsIn(v, found, isTensor);
  else if (value instanceof Map) for (const v of value.values()) tensorsIn(v, found, isTensor);
  else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const v of Object.values(value)) tensorsIn(v, found, isTensor);
  }
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
  const mine = new Set<Tensor>();
  open.push(mine);
  let result: T;
  try {
    result = refusePromise(body(), 'scope');
  } catch (error) {
    open.pop();
    for (const tensor of mine) tensor.dispose();
    throw error;
  }
  open.pop();
  const returned = new Set<unknown>();
  tensorsIn(result, returned, (v) => mine.has(v as Tensor));
  const outer = open.at(-1);
  for (const tensor of mine) {
    if (returned.has(tensor)) outer?.add(tensor);
    else tensor.dispose();
  }
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

/** How many tensors JavaScript holds, and their bytes (4 KB and larger). A leak shows here as a number. */
export function memory(): { liveTensors: number; liveBytes: number } {
  return native.memory();
}
