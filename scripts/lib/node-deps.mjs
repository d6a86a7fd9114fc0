// Step: node_modules as package-lock.json says.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { lastLines, run, SetupError } from './run.mjs';
import { readStamp } from './stamp.mjs';

/** @param {string} root @returns {string | undefined} why `npm ci` must run, or undefined */
export function nodeDepsFault(root) {
  const wanted = readStamp(join(root, 'package-lock.json'))?.packages;
  if (!wanted) return undefined; // installed from a tarball: npm has already put the dependencies in place
  const present = readStamp(join(root, 'node_modules/.package-lock.json'))?.packages;
  if (!present) return 'node_modules is missing';
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || entry.link) continue;
    const installed = present[path];
    // Optional packages are those of other platforms.
    if (!installed && entry.optional) continue;
    if (installed?.version !== entry.version) return `${path} is not ${entry.version}`;
    if (!existsSync(join(root, path, 'package.json'))) return `${path} is incomplete`;
  }
  return undefined;
}

/** npm by the file that runs us when npm does, so that both are the same version. @returns {[string, string[]]} */
export function npmCommand() {
  const cli = process.env.npm_execpath;
  return cli?.endsWith('npm-cli.js') ? [process.execPath, [cli]] : ['npm', []];
}

/** @param {string} root @param {import('./report.mjs').Report} report @returns {Promise<string>} */
export async function installNodeDeps(root, report) {
  const fault = nodeDepsFault(root);
  if (!fault) return 'up to date';
  report.progress(`npm ci, as ${fault}`);
  const [command, args] = npmCommand();
  // No dependency needs its install script, and this package's own would build before libtorch is there.
  const { code, output } = await run(
    command,
    [...args, 'ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'],
    { cwd: root },
  );
  if (code === 0) return 'installed';
  const remedy =
    code === 127
      ? 'Install npm (it comes with Node from https://nodejs.org).'
      : 'Check the network (or npm config get registry), then run npm run setup again.';
  // npm says what is wrong first, and may go on with a page of usage.
  const reason = output.split(/Clean install a project|A complete log/)[0] ?? '';
  throw new SetupError(`npm ci failed with code ${code}:\n${lastLines(reason, 12)}\n${remedy}`);
}
