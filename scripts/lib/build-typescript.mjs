// Step: dist/ from src/.
import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { lastLines, run, SetupError } from './run.mjs';
import { hashInputs, listFiles, readStamp, writeStamp } from './stamp.mjs';

/** @param {string} root @returns {string | undefined} why the compiler must run, or undefined */
export function typescriptFault(root) {
  const missing = missingOutput(root);
  if (missing) return `${missing} is missing`;
  return readStamp(join(root, 'dist/.stamp.json'))?.hash === sourceHash(root)
    ? undefined
    : 'sources have changed';
}

/** @param {string} root */
function sourceHash(root) {
  const typescript = readStamp(join(root, 'node_modules/typescript/package.json'))?.version;
  return hashInputs(root, ['tsconfig.json', 'src'], { typescript });
}

/** @param {string} root @returns {string | undefined} first source without its compiled file */
function missingOutput(root) {
  return listFiles(root, 'src')
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => file.replace(/^src/, 'dist').replace(/\.ts$/, '.js'))
    .find((file) => !existsSync(join(root, file)));
}

/** @param {string} root @param {import('./report.mjs').Report} report @returns {Promise<string>} */
export async function buildTypescript(root, report) {
  if (!existsSync(join(root, 'src'))) return 'dist/ came with the package';
  const reason = typescriptFault(root);
  if (!reason) return 'up to date';
  report.progress(`compiling, as ${reason}`);
  const hash = sourceHash(root);
  // The incremental state believes that its output is still there.
  if (missingOutput(root)) rmSync(join(root, 'dist/.tsbuildinfo'), { force: true });
  const tsc = createRequire(join(root, 'package.json')).resolve('typescript/bin/tsc');
  const { code, output } = await run(process.execPath, [tsc, '-p', 'tsconfig.json', '--pretty', 'false'], {
    cwd: root,
  });
  if (code !== 0)
    throw new SetupError(
      `TypeScript reports errors (npx tsc -p tsconfig.json shows all):\n${lastLines(output.split('\n').slice(0, 12).join('\n'), 12)}`,
    );
  writeStamp(join(root, 'dist/.stamp.json'), { hash });
  return 'compiled';
}
