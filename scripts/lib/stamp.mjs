// Stamps tell whether a build result still belongs to its inputs: by content, as a fresh clone or a branch
// switch gives every file a new time.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Files under `folder`, relative to `root`, sorted. @param {string} root @param {string} folder @returns {string[]} */
export function listFiles(root, folder) {
  const full = join(root, folder);
  if (!existsSync(full)) return [];
  if (!statSync(full).isDirectory()) return [folder];
  return readdirSync(full)
    .sort()
    .flatMap((name) => listFiles(root, join(folder, name)));
}

/**
 * @param {string} root
 * @param {string[]} places  files or folders, relative to root
 * @param {Record<string, unknown>} facts  what else the result depends on
 * @returns {string} SHA-256 of names, contents and facts
 */
export function hashInputs(root, places, facts) {
  const hash = createHash('sha256').update(JSON.stringify(facts));
  for (const file of places.flatMap((place) => listFiles(root, place))) {
    const content = readFileSync(join(root, file));
    hash.update(`\0${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** @param {string} file @returns {Record<string, any> | undefined} undefined when missing or unreadable */
export function readStamp(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** @param {string} file @param {Record<string, unknown>} content */
export function writeStamp(file, content) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
}
