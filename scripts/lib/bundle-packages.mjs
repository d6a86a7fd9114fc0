// Which node_modules go into the offline bundle, and a lock file that says exactly those.
//
//   node scripts/lib/bundle-packages.mjs list          their folders, one a line
//   node scripts/lib/bundle-packages.mjs lock FOLDER   writes FOLDER's package-lock.json and node_modules/.package-lock.json
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../libtorch.mjs';
import { isMain } from './run.mjs';

/** Beside the declared dependencies: what runs the tests on the target, and what compiles a changed source there. */
export const BUNDLED_TOOLS = ['vitest', 'fast-check', 'typescript'];

/**
 * @typedef {{ version: string, optional?: boolean, dependencies?: Record<string, string>,
 *   optionalDependencies?: Record<string, string>, peerDependencies?: Record<string, string> }} LockEntry
 * @typedef {Record<string, LockEntry>} Packages  package-lock.json's, by folder
 */

/**
 * Folder of the package `name` as Node would find it from `from`: the nearest node_modules upwards.
 * @param {Packages} packages @param {string} from @param {string} name @returns {string | undefined}
 */
function locate(packages, from, name) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    const path = `${folder ? `${folder}/` : ''}node_modules/${name}`;
    if (packages[path]) return path;
    if (!folder) return undefined;
  }
}

/**
 * Folders of `names` and all that they need, those of other platforms included.
 * @param {Packages} packages @param {string[]} names @returns {string[]} sorted
 */
export function packageClosure(packages, names) {
  const found = new Set();
  const visit = (/** @type {string} */ from, /** @type {string} */ name) => {
    const path = locate(packages, from, name);
    if (!path || found.has(path)) return; // an optional peer need not be there
    found.add(path);
    const { dependencies, optionalDependencies, peerDependencies } = packages[path] ?? {};
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
      visit(path, next);
  };
  for (const name of names) visit('', name);
  return [...found].sort();
}

/** @param {string} file */
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** @param {string} root */
function bundledFolders(root) {
  const { dependencies } = readJson(join(root, 'package.json'));
  const { packages } = readJson(join(root, 'package-lock.json'));
  return packageClosure(packages, [...Object.keys(dependencies), ...BUNDLED_TOOLS]);
}

/** Both lock files of the bundle, cut down to what is in it: doctor there compares them. @param {string} root @param {string} target */
function writeLocks(root, target) {
  const kept = new Set(['', ...bundledFolders(root)]);
  for (const name of ['package-lock.json', 'node_modules/.package-lock.json']) {
    const lock = readJson(join(root, name));
    lock.packages = Object.fromEntries(Object.entries(lock.packages).filter(([path]) => kept.has(path)));
    writeFileSync(join(target, name), `${JSON.stringify(lock, null, 2)}\n`);
  }
}

if (isMain(import.meta.url)) {
  const [, , action, target] = process.argv;
  if (action === 'list') {
    const present = bundledFolders(packageRoot).filter((path) => existsSync(join(packageRoot, path)));
    console.log(present.join('\n'));
  } else if (action === 'lock' && target) {
    writeLocks(packageRoot, target);
  } else {
    console.error('Expected list, or lock and a folder');
    process.exitCode = 2;
  }
}
