// `npm run setup`: all that a clone needs, in one idempotent script; `npm run demo` and `npm test` call it.
// Plain JavaScript without dependencies, as it runs before node_modules exists.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { addonFault, buildAddon } from './lib/build-addon.mjs';
import { buildTypescript } from './lib/build-typescript.mjs';
import { ensureLibtorch } from './lib/install-libtorch.mjs';
import { acquireLock } from './lib/lock.mjs';
import { installNodeDeps, nodeDepsFault } from './lib/node-deps.mjs';
import { step } from './lib/report.mjs';
import { runMain, SetupError } from './lib/run.mjs';
import { BUILD_TOOLS, checkTools, nodeFault, PYTHON_TOOLS, toolFault } from './lib/tools.mjs';
import { packageRoot, searchLibtorch } from './libtorch.mjs';

const HELP = `Usage: npm run setup [-- --build-only]

Installs what is missing and builds what has changed: Node packages, libtorch (into .libtorch/), the addon
(build/), the TypeScript (dist/). Running it again when nothing is to do takes a second.

Options:
  --build-only   only the addon and the TypeScript
  --help         this text

Environment:
  LIBTORCH                     an unpacked libtorch to use
  LIBTORCH_USE_PYTORCH=1       use the torch package of $PYTHON (or python3)
  CXX                          C++ compiler
  CMAKE_BUILD_PARALLEL_LEVEL   compilers at a time

Examples:
  npm run setup
  LIBTORCH=/opt/libtorch npm run setup
`;

/** Fails before anything is downloaded when a later step would lack its tools. @param {string} root */
function checkNeededTools(root) {
  const { found, candidates } = searchLibtorch({ root });
  const installs = !found && !candidates.some((candidate) => candidate.explicit);
  const builds = !found || nodeDepsFault(root) !== undefined || addonFault(root, found) !== undefined;
  const needed = [...(builds ? BUILD_TOOLS : []), ...(installs ? PYTHON_TOOLS : [])];
  const tools = checkTools(needed);
  const fault = nodeFault() ?? toolFault(tools);
  if (fault) throw new SetupError(fault);
  const versions = tools.map((tool) =>
    tool.name === 'compiler' ? tool.value : `${tool.name} ${tool.value}`,
  );
  return [`Node ${process.versions.node}`, ...versions].join(', ');
}

/** @param {string[]} args */
async function main(args) {
  const unknown = args.find((arg) => !['--build-only', '--help'].includes(arg));
  if (unknown) throw new SetupError(`Expected --build-only or --help but received ${unknown}\n\n${HELP}`, 2);
  if (args.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  const root = packageRoot;
  const release = await acquireLock(join(root, 'build/.setup-lock'), ({ pid }) =>
    process.stderr.write(`Another set-up is running here (process ${pid}); waiting for it.\n`),
  );
  try {
    await step('Tools', () => checkNeededTools(root));
    if (!args.includes('--build-only')) {
      await step('Node packages', (report) => installNodeDeps(root, report));
      await step('libtorch', (report) => ensureLibtorch(root, report));
    } else if (!existsSync(join(root, 'node_modules/cmake-js'))) {
      throw new SetupError('Expected node_modules for --build-only but there is none. Run: npm run setup');
    }
    await step('Addon', (report) => buildAddon(root, report));
    await step('TypeScript', (report) => buildTypescript(root, report));
  } finally {
    release();
  }
  return 0;
}

await runMain(() => main(process.argv.slice(2)));
