import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from '../config/errors.js';
import { removeAbandoned } from '../io/atomic.js';
import { makeFolder } from '../io/make-folder.js';

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

/**
 * Makes a folder, or clears it of what a killed run left half-written.
 * @param flag the one that names another folder
 * @throws UsageError when it cannot be made or written
 */
export function makeWritable(folder: string, flag = '--work_dir'): void {
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK);
    removeAbandoned(folder);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    const isFile = code === 'EEXIST' || code === 'ENOTDIR';
    throw new UsageError(
      `Expected a folder that can be written for ${folder} but ${nearestExisting(folder)} ` +
        `${isFile ? 'is a file' : `refused it (${code})`}. Choose another with ${flag}` +
        `${isFile ? '' : ', or change its permissions'}.`,
      { cause },
    );
  }
}
