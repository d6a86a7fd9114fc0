/**
 * Builders of the schema's fields. A field's zod message is the phrase that follows "Expected" in the
 * report ("an integer of at least 64"), so that a fault of type and one of range read alike.
 */
import { z } from 'zod';

export function int(min: number, max?: number) {
  const error = max === undefined ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  const field = z.number({ error }).int({ error }).min(min, { error });
  return max === undefined ? field : field.max(max, { error });
}

/** A finite number in [min, max], or (min, max] with `open`. */
export function num(min: number, max?: number, open = false) {
  const error = rangePhrase(min, max, open);
  const number = z.number({ error });
  const field = open ? number.gt(min, { error }) : number.min(min, { error });
  return max === undefined ? field : field.max(max, { error });
}

function rangePhrase(min: number, max: number | undefined, open: boolean): string {
  if (max !== undefined)
    return open ? `a number above ${min} and up to ${max}` : `a number from ${min} to ${max}`;
  return open ? `a number above ${min}` : `a number of at least ${min}`;
}

/** A positive number, or one word. */
export function numberOr<const T extends string>(word: T) {
  const error = `a number above 0, or ${word}`;
  return z.union([z.literal(word), z.number().gt(0)], { error });
}

/** A number in [0, 1): betas and drop rates, where 1 would stop all learning. */
export function fraction() {
  const error = 'a number from 0 to below 1';
  return z.number({ error }).min(0, { error }).lt(1, { error });
}

export function bool() {
  return z.boolean({ error: 'true or false' });
}

export function text(what: string) {
  return z.string({ error: what }).trim().min(1, { error: what });
}

/** A regular expression that holds one group. */
export function pattern(what: string) {
  return z.string({ error: what }).refine(
    (source) => {
      try {
        // An alternative that matches nothing tells how many groups there are.
        return new RegExp(`${source}|`, 'u').exec('')!.length > 1;
      } catch {
        return false;
      }
    },
    { error: what },
  );
}

export function oneOf<const T extends readonly [string, ...string[]]>(names: T) {
  return z.enum(names, { error: orList(names) });
}

export function list<T extends z.ZodType>(item: T, what: string) {
  return z.array(item, { error: what }).min(1, { error: what });
}

export function pair<T extends z.ZodType>(item: T, what: string) {
  return z.tuple([item, item], { error: what });
}

/** "a, b or c". */
export function orList(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
