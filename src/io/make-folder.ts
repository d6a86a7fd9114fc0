import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it. As `mkdirSync` with `recursive`, which never returns where a file system
 * has no folders to make (/proc on Linux): each is made once here, and a refusal is thrown.
 * @returns the first folder that was made; undefined when all were there
 */
export function makeFolder(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) return undefined;
  if (found) throw Object.assign(new Error(`${path} is a file`), { code: 'EEXIST' });
  const above = dirname(path) === path ? undefined : makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have been faster.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
  return above ?? path;
}
