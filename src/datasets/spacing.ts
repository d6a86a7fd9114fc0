/** How large pixels are, where a dataset says so: distances can then be told in millimetres. */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

/** Millimetres between rows and between columns. */
export type PixelSpacing = readonly [height: number, width: number];

/** The part of the `dataset.json` that `prepare nifti` writes which is read here. */
const sidecar = z.object({
  prefix: z.string(),
  volumes: z.array(
    z.object({
      patient: z.string(),
      spacing_mm: z.object({ row: z.number().positive(), column: z.number().positive() }),
    }),
  ),
});

/**
 * Spacing by patient, as patients are read from slices' names (`{prefix}_{patient}`).
 * @returns an empty map for a folder without the file, or with one that another program wrote
 */
export function readSpacings(path: string): Map<string, PixelSpacing> {
  if (!existsSync(path)) return new Map();
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    // Not ours to judge: nothing else depends on it.
    return new Map();
  }
  const { success, data } = sidecar.safeParse(content);
  if (!success) return new Map();
  return new Map(
    data.volumes.map(({ patient, spacing_mm: { row, column } }) => [
      `${data.prefix}_${patient}`,
      [row, column] as const,
    ]),
  );
}
