/** Which keys the schema has: a section is an object of keys, a leaf is a value. */
import { z } from 'zod';
import { configSchema } from './schema.js';

/** The field behind a dotted key ("cam.par.num_iter", "train"), or undefined for an unknown one. */
export function fieldAt(key: string): z.ZodType | undefined {
  let field: z.ZodType | undefined = configSchema;
  for (const part of key === '' ? [] : key.split('.')) {
    const shape: Record<string, z.ZodType> | undefined = shapeOf(field);
    field = shape && Object.hasOwn(shape, part) ? shape[part] : undefined;
  }
  return field;
}

export const isSection = (key: string): boolean => shapeOf(fieldAt(key)) !== undefined;

/** Names of the keys in a section ('' is the whole file). */
export const keysIn = (section: string): string[] => Object.keys(shapeOf(fieldAt(section)) ?? {});

/** Dotted names of all leaves, in the schema's order. */
export function leafKeys(section = ''): string[] {
  return keysIn(section).flatMap((name) => {
    const key = section === '' ? name : `${section}.${name}`;
    return isSection(key) ? leafKeys(key) : [key];
  });
}

// Sections carry a prefault (an absent section is an empty one), so the object lies one wrapper deep.
function shapeOf(field: z.ZodType | undefined): Record<string, z.ZodType> | undefined {
  const inner = field instanceof z.ZodPrefault ? field.unwrap() : field;
  return inner instanceof z.ZodObject ? (inner.shape as Record<string, z.ZodType>) : undefined;
}
