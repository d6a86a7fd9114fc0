// `npm run doctor`: what is installed, what was searched, and the exact command that mends what is wrong.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { addonFault } from './lib/build-addon.mjs';
import { typescriptFault } from './lib/build-typescript.mjs';
import { nodeDepsFault, npmCommand } from './lib/node-deps.mjs';
import { describeCuda, deviceFault, probeAddon } from './lib/probe-addon.mjs';
import { rebuildCommand } from './lib/rebuild.mjs';
import { capture, isMain } from './lib/run.mjs';
import { BUILD_TOOLS, checkTools, installCommand, nodeFault, PYTHON_TOOLS } from './lib/tools.mjs';
import { describeCandidates, explainSearch, packageRoot, searchLibtorch } from './libtorch.mjs';

const HELP = `Usage: npm run doctor [-- --json]

Shows the versions in use, the devices, where libtorch was searched and why each place was refused, and the
command that mends each fault. Exit code 0 when all is fine, else 1.

Options:
  --json   one JSON document on standard output
  --help   this text

Examples:
  npm run doctor
  npm run --silent doctor -- --json
`;

/**
 * @typedef {object} Check
 * @property {string} name
 * @property {'ok' | 'warning' | 'fault'} state  a warning: not needed as things are
 * @property {string} value   version, place, or what is wrong
 * @property {string} [fix]   the command that mends it
 */

/** @param {string} name @param {string} value @param {string | undefined} fault @param {string} [fix] @returns {Check} */
const judge = (name, value, fault, fix) =>
  fault ? { name, state: 'fault', value: fault, fix } : { name, state: 'ok', value };

/** Tools are faults only when something that needs them is to be done. @param {boolean} builds @param {boolean} installs @returns {Check[]} */
function toolChecks(builds, installs) {
  const names = [...BUILD_TOOLS, ...PYTHON_TOOLS];
  return checkTools(names).map(({ name, ok, value }) => {
    if (ok) return { name, state: 'ok', value };
    const needed = BUILD_TOOLS.some((tool) => tool === name) ? builds : installs;
    return { name, state: needed ? 'fault' : 'warning', value, fix: installCommand([name]) };
  });
}

/** @param {string} root @param {import('./libtorch.mjs').Search} search */
function addonChecks(root, search) {
  const { probe, fault } = probeAddon(root);
  const libtorch = search.found;
  const depsFault = nodeDepsFault(root);
  // In a tarball with a ready-made binary there is no stamp to compare with.
  const own = existsSync(join(root, 'build/Release'));
  const stale = libtorch && own && !depsFault ? addonFault(root, libtorch) : undefined;
  const value = probe
    ? `${probe.file}, libtorch ${probe.info.torchVersion} (${probe.info.cpuCapability})`
    : '';
  const differs = probe?.differences[0] && `is of another version than dist/: ${probe.differences[0]}`;
  const wrong = fault ? `does not load: ${fault}` : stale ? `must be built again: ${stale}` : differs;
  return { probe, check: judge('addon', value, wrong, rebuildCommand(root)) };
}

// Which names training looks for is known to the compiled sources alone; without them the check has no answer.
const modules = ['pretrained-files', 'schema'].map((name) => import(`../dist/config/${name}.js`));
const [weightFiles, schema] = await Promise.all(modules).catch(() => []);

/** ImageNet weights of the working directory, as training finds them. @returns {Check} */
function pretrainedCheck() {
  const name = 'ImageNet weights';
  if (!weightFiles) return { name, state: 'warning', value: 'not known before dist/ is compiled' };
  const { defaultPretrainedPath, findPretrained, PRETRAINED_DIR } = weightFiles;
  /** @type {string[]} */
  const found = schema.BACKBONES.flatMap(
    (/** @type {string} */ backbone) => findPretrained(defaultPretrainedPath(backbone)) ?? [],
  );
  if (found.length > 0) {
    const files = found.map((file) => `${file} (${(statSync(file).size / 1e6).toFixed(0)} MB)`);
    return { name, state: 'ok', value: files.join(', ') };
  }
  const value = `none in ${PRETRAINED_DIR}/: training starts from random weights`;
  return { name, state: 'warning', value, fix: 'npm run download-pretrained -- mit_b1' };
}

/** @param {import('./lib/probe-addon.mjs').Probe | undefined} probe */
function describeDevices(probe) {
  const unloaded = { reason: 'the addon does not load' };
  /** @type {Record<string, { available: boolean, reason?: string, fix?: string }>} */
  const devices = { cpu: probe ? { available: true } : { available: false, ...unloaded } };
  for (const name of /** @type {const} */ (['cuda', 'mps'])) {
    const fault = probe ? deviceFault(name, probe) : unloaded;
    devices[name] = fault ? { available: false, ...fault } : { available: true };
  }
  return devices;
}

/**
 * The whole examination.
 * @param {{ root?: string, env?: NodeJS.ProcessEnv }} [options]
 */
export function examine({ root = packageRoot, env = process.env } = {}) {
  const search = searchLibtorch({ root, env });
  const { probe, check: addon } = addonChecks(root, search);
  const [npm, npmArgs] = npmCommand();
  const npmVersion = capture(npm, [...npmArgs, '--version']);
  const installs = !search.found && !search.candidates.some((candidate) => candidate.explicit);
  const packages = nodeDepsFault(root);
  const libtorch = search.found;
  const refused = search.candidates.find((candidate) => candidate.explicit && !candidate.ok);
  /** @type {Check[]} */
  const checks = [
    judge('node', process.versions.node, nodeFault(), 'nvm install 22'),
    npmVersion
      ? { name: 'npm', state: 'ok', value: npmVersion }
      : // The offline bundle comes without it, and with all packages.
        {
          name: 'npm',
          state: packages ? 'fault' : 'warning',
          value: 'npm does not run',
          fix: 'it comes with Node: https://nodejs.org',
        },
    judge('node packages', 'as in package-lock.json', packages, 'npm run setup'),
    ...toolChecks(addon.state !== 'ok', installs),
    judge(
      'libtorch',
      libtorch ? `${libtorch.version} (${libtorch.flavour}), ${libtorch.path}` : '',
      libtorch ? undefined : refused ? `${refused.what} is refused: ${refused.reason}` : 'none found',
      refused ? `unset ${refused.source} && npm run setup` : 'npm run setup',
    ),
    addon,
    judge(
      'dist',
      'compiled',
      existsSync(join(root, 'src')) ? typescriptFault(root) : undefined,
      'npm run setup',
    ),
    pretrainedCheck(),
  ];
  return {
    ok: checks.every((check) => check.state !== 'fault'),
    platform: `${process.platform}-${process.arch}`,
    checks,
    libtorch: search,
    addon: probe ?? null,
    devices: describeDevices(probe),
  };
}

/** @param {ReturnType<typeof examine>} result */
function print({ ok, platform, checks, libtorch, addon, devices }) {
  const signs = { ok: ' ok ', warning: 'note', fault: 'BAD ' };
  console.log(`medical-afa on ${platform}\n`);
  for (const { name, state, value, fix } of checks) {
    console.log(`[${signs[state]}] ${name}: ${value}${fix ? `\n       mend it with:  ${fix}` : ''}`);
  }
  console.log('\nDevices');
  for (const [name, { available, reason, fix }] of Object.entries(devices)) {
    console.log(`  ${name}: ${available ? 'available' : `not available: ${reason}`}`);
    if (fix) console.log(`       mend it:  ${fix}`);
    if (name === 'cuda' && addon) for (const line of describeCuda(addon)) console.log(`       ${line}`);
  }
  console.log(
    libtorch.found
      ? `\nSearched for libtorch\n${describeCandidates(libtorch).join('\n')}`
      : `\n${explainSearch(libtorch)}`,
  );
  const faults = checks.filter((check) => check.state === 'fault');
  console.log(ok ? '\nAll is fine.' : `\nWrong: ${faults.map((check) => check.name).join(', ')}.`);
}

/** @param {string[]} args @returns {number} exit code */
export function main(args) {
  const unknown = args.find((arg) => !['--json', '--help'].includes(arg));
  if (unknown) {
    console.error(`Expected --json or --help but received ${unknown}\n\n${HELP}`);
    return 2;
  }
  if (args.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  const result = examine();
  if (args.includes('--json')) console.log(JSON.stringify(result, null, 2));
  else print(result);
  return result.ok ? 0 : 1;
}

if (isMain(import.meta.url)) process.exitCode = main(process.argv.slice(2));
