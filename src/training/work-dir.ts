import { accessSync, constants, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from '../config/errors.js';
import { removeAbandoned } from '../io/atomic.js';

/** The nearest folder that exists, for a message that names the real obstacle. */
function nearestExisting(path: string): string {
  try {
    accessSync(path, constants.F_OK);
    return path;
  } catch {
    const parent = dirname(path);
    return parent === path ? path : nearestExisting(parent);
  }
}

/** Makes a folder, or clears it of what a killed run left half-written. @throws UsageError when it cannot be written */
export function makeWritable(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    removeAbandoned(folder);
  } catch (cause) {
    const where = nearestExisting(folder);
    throw new UsageError(
      `Expected a folder that can be written for ${folder} but ${where} refused it ` +
        `(${(cause as NodeJS.ErrnoException).code}). Choose another with --work_dir, or change its permissions.`,
    );
  }
}
