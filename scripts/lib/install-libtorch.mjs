// Step: libtorch. Found by scripts/libtorch.mjs, else installed into .libtorch/ with pip: PyTorch's wheel holds
// libtorch's headers and libraries, and pip knows the user's mirrors and certificates.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { explainSearch, PINNED_VERSION, searchLibtorch } from '../libtorch.mjs';
import { inspectLibtorch, missingLibraries } from './inspect-libtorch.mjs';
import { lastLines, onExit, run, SetupError } from './run.mjs';
import { checkTools, PYTHON_TOOLS, pythonCommand, toolFault } from './tools.mjs';

const CPU_INDEX = 'https://download.pytorch.org/whl/cpu';
/** Wheel, its unpacked files and pip's copy at the same time. */
const NEEDED_GB = 1.5;
/** All that a C++ program needs of the wheel; the Python part is over half of its files. */
const KEPT = new Set(['include', 'lib', 'share', 'version.py']);

/** @param {string} python @param {string} target */
function remedies(python, target) {
  return [
    'Any one of these mends it:',
    `  - where ${new URL(CPU_INDEX).host} can be reached:  ${python} -m pip install --no-deps --target ${target} --index-url ${CPU_INDEX} torch==${PINNED_VERSION}`,
    `  - for an NVIDIA GPU, with the CUDA libraries (several GB):  ${python} -m pip install --target ${target} torch==${PINNED_VERSION}`,
    '  - use an unpacked libtorch (https://pytorch.org/get-started/locally, C++ / LibTorch):  LIBTORCH=/path/to/libtorch npm run setup',
    '  - use the torch of a Python environment:  LIBTORCH_USE_PYTORCH=1 PYTHON=/path/to/python npm run setup',
  ].join('\n');
}

/** @param {string} folder */
function checkDiskSpace(folder) {
  const { bavail, bsize } = statfsSync(folder);
  const free = (bavail * bsize) / 1e9;
  if (free < NEEDED_GB) {
    throw new SetupError(
      `Expected ${NEEDED_GB} GB free in ${folder} for libtorch but received ${free.toFixed(1)} GB. Free some space, or set LIBTORCH to a libtorch elsewhere.`,
    );
  }
}

/** Size of the wheel so far; pip itself shows it only on a terminal. @param {string} temporary */
function downloadedMegabytes(temporary) {
  try {
    const wheel = readdirSync(temporary, { recursive: true }).find((name) => String(name).endsWith('.whl'));
    return wheel ? Math.round(statSync(join(temporary, String(wheel))).size / 1e6) : 0;
  } catch {
    return 0; // pip moves and deletes what it has finished with
  }
}

/**
 * pip into `site`: PyTorch's index of CPU builds, else the user's own.
 * @param {string} python @param {string} work @param {string} site @param {import('./report.mjs').Report} report
 * @returns {Promise<string | undefined>} pip's last words when both failed
 */
async function pipInstall(python, work, site, report) {
  const temporary = join(work, 'tmp');
  const common = [
    '-m',
    'pip',
    'install',
    '--no-deps',
    '--no-compile',
    '--no-input',
    '--only-binary=:all:',
    '--target',
    site,
  ];
  const attempts = [
    {
      from: 'PyTorch’s index of CPU builds',
      args: ['--index-url', CPU_INDEX, '--retries', '0', '--timeout', '15'],
    },
    { from: 'pip’s default index', args: [] },
  ];
  let output = '';
  for (const { from, args } of attempts) {
    rmSync(site, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    report.progress(`installing torch ${PINNED_VERSION} from ${from}, about 200 MB`);
    const watch = setInterval(() => {
      const megabytes = downloadedMegabytes(temporary);
      if (megabytes > 0) report.progress(`downloaded ${megabytes} MB of about 200 from ${from}`);
    }, 1000);
    const result = await run(python, [...common, ...args, `torch==${PINNED_VERSION}`], {
      // Settings that pip refuses together with --target; and /tmp is often too small a memory disk.
      env: { PIP_USER: '0', PIP_REQUIRE_VIRTUALENV: '0', TMPDIR: temporary },
      onLine: (line) => {
        if (/^(Downloading|Installing)/.test(line.trim())) report.progress(line.trim());
      },
    });
    clearInterval(watch);
    if (result.code === 0) return undefined;
    report.note(`${from} did not give it`);
    output += result.output;
  }
  return output;
}

/** What came must load as it is: a CUDA build without its libraries would only fail later. @param {string} torch @param {string} remedy */
function checkInstalled(torch, remedy) {
  const verdict = inspectLibtorch(torch);
  if (!verdict.ok) {
    throw new SetupError(
      `pip installed torch, but it cannot be used as it is: ${verdict.reason}.\n${remedy}`,
    );
  }
  const core = process.platform === 'darwin' ? 'libtorch.dylib' : 'libtorch.so';
  const missing = missingLibraries(join(verdict.lib ?? '', core));
  if (missing.length > 0) {
    throw new SetupError(
      `pip installed torch, but libraries that it needs are missing: ${missing.join(', ')}.\n${remedy}`,
    );
  }
  return verdict;
}

/** Moves what came into place, the `torch` folder last: only a complete one can be found. @param {string} site @param {string} target @param {string} work */
function putInPlace(site, target, work) {
  for (const name of readdirSync(join(site, 'torch'))) {
    if (!KEPT.has(name)) rmSync(join(site, 'torch', name), { recursive: true, force: true });
  }
  // torch, its licences (dist-info) and, if there are any, CUDA libraries.
  const names = readdirSync(site).filter(
    (name) => !['bin', 'functorch', 'torchgen', '__pycache__'].includes(name),
  );
  names.sort((a, b) => Number(a === 'torch') - Number(b === 'torch'));
  for (const name of names) {
    const place = join(target, name);
    if (existsSync(place)) renameSync(place, join(work, `old-${name}`));
    renameSync(join(site, name), place);
  }
}

/** @param {string} root @param {import('./report.mjs').Report} report */
async function install(root, report) {
  const fault = toolFault(checkTools(PYTHON_TOOLS));
  if (fault)
    throw new SetupError(
      `${fault}\nOr use a libtorch that is there:  LIBTORCH=/path/to/libtorch npm run setup`,
    );
  const python = pythonCommand();
  const target = join(root, '.libtorch');
  mkdirSync(target, { recursive: true });
  // Left by an installation that was killed; the set-up lock is held, so nobody is using it.
  for (const name of readdirSync(target)) {
    if (name.startsWith('.tmp-')) rmSync(join(target, name), { recursive: true, force: true });
  }
  checkDiskSpace(target);
  const work = join(target, `.tmp-${process.pid}`);
  const removeWork = onExit(() => rmSync(work, { recursive: true, force: true }));
  try {
    const site = join(work, 'site');
    const output = await pipInstall(python, work, site, report);
    const remedy = remedies(python, target);
    if (output !== undefined) {
      throw new SetupError(
        `pip could not install torch ${PINNED_VERSION}:\n${lastLines(output, 8)}\n${remedy}`,
      );
    }
    checkInstalled(join(site, 'torch'), remedy);
    report.progress('moving it into .libtorch/');
    putInPlace(site, target, work);
  } finally {
    removeWork();
  }
}

/** @param {string} root @param {import('./report.mjs').Report} report @returns {Promise<string>} */
export async function ensureLibtorch(root, report) {
  const before = searchLibtorch({ root });
  if (before.found) return `${before.found.version}, ${before.found.path}`;
  // A refused LIBTORCH (or Python torch) is the user's to mend; installing another would not be used.
  if (before.candidates.some((candidate) => candidate.explicit))
    throw new SetupError(explainSearch(before), 2);
  await install(root, report);
  const after = searchLibtorch({ root });
  if (!after.found) throw new SetupError(explainSearch(after, { root }));
  return `installed ${after.found.version} into ${after.found.path}`;
}
