// The command that builds the addon again: one for each way in which the package can have come.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** @param {string} root @returns {string} */
export function rebuildCommand(root) {
  if (existsSync(join(root, 'bundle/bundle.json'))) return 'bundle/setup.sh --no-tests';
  return existsSync(join(root, 'src')) ? 'npm run setup' : 'npm rebuild medical-afa --foreground-scripts';
}
