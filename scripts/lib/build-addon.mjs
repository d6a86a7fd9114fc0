// Step: the addon, by cmake-js with the headers of node-api-headers, so that nothing is fetched.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { explainSearch, searchLibtorch } from '../libtorch.mjs';
import { findNvcc } from './cuda-libtorch.mjs';
import { lastLines, run, SetupError } from './run.mjs';
import { hashInputs, readStamp, writeStamp } from './stamp.mjs';
import { BUILD_TOOLS, checkTools, toolFault } from './tools.mjs';

/** One compiler holding libtorch's headers (1.4 GB) and some room. */
const GB_PER_JOB = 2;

/** @param {string} root */
export const addonPath = (root) => join(root, 'build/Release/medical_afa.node');
/** @param {string} root */
const stampPath = (root) => join(root, 'build/addon-stamp.json');

/** @param {string} root @param {string} name */
function dependencyVersion(root, name) {
  const file = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

/**
 * What the addon is made from, as a stamp.
 * @param {string} root @param {import('../libtorch.mjs').Candidate} libtorch
 */
export function addonStamp(root, libtorch) {
  const facts = {
    libtorch: libtorch.path,
    torchVersion: libtorch.version,
    flavour: libtorch.flavour,
    platform: `${process.platform}-${process.arch}`,
    headers: [dependencyVersion(root, 'node-api-headers'), dependencyVersion(root, 'node-addon-api')],
    compiler: process.env.CXX ?? '',
    // What else decides about native/**/*.cu.
    ...(libtorch.flavour === 'cuda' && {
      architectures: process.env.TORCH_CUDA_ARCH_LIST ?? '',
      nvcc: findNvcc(libtorch.path),
    }),
  };
  return { hash: hashInputs(root, ['CMakeLists.txt', 'native'], facts), ...facts };
}

/** @param {string} root @returns {Record<string, any> | undefined} what the present addon was made from */
export const builtStamp = (root) => readStamp(stampPath(root));

/** @param {string} root @param {import('../libtorch.mjs').Candidate} libtorch @returns {string | undefined} why it must be built */
export function addonFault(root, libtorch) {
  if (!existsSync(addonPath(root))) return 'there is none yet';
  const built = builtStamp(root);
  if (!built) return 'its origin is not known';
  const now = addonStamp(root, libtorch);
  if (built.hash === now.hash) return undefined;
  if (built.libtorch !== now.libtorch) return `it was built with the libtorch in ${built.libtorch}`;
  return 'its sources or settings have changed';
}

/**
 * Why the addon does not load in a process of its own. In a checkout dist/ may be compiled after it; in a package it came
 * along, and refuses an addon of another version.
 * @param {string} root @returns {string | undefined}
 */
export function addonLoadFault(root) {
  const loader = createRequire(join(root, 'package.json')).resolve('node-gyp-build');
  const code = existsSync(join(root, 'src'))
    ? 'require(process.argv[1])(process.argv[2])'
    : 'import(require("node:url").pathToFileURL(process.argv[2] + "/dist/native/index.js").href)';
  const { status, signal, stderr } = spawnSync(process.execPath, ['-e', code, loader, root], {
    encoding: 'utf8',
  });
  if (status === 0) return undefined;
  if (signal) return `loading it ended with ${signal}`;
  const reason = stderr.match(/^(?:Reason|Error): (?!The native addon could not)(.*)$/m)?.[1];
  return reason ?? (lastLines(stderr, 3) || `loading it ended with code ${status}`);
}

/** A build folder of another place or generator cannot be configured again. @param {string} root @returns {string | undefined} its generator */
function cachedGenerator(root) {
  const file = join(root, 'build/CMakeCache.txt');
  if (!existsSync(file)) return undefined;
  const cache = readFileSync(file, 'utf8');
  const home = cache.match(/^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m)?.[1];
  const generator = cache.match(/^CMAKE_GENERATOR:INTERNAL=(.*)$/m)?.[1];
  if (generator && home && existsSync(home) && realpathSync(home) === realpathSync(root)) return generator;
  for (const name of ['CMakeCache.txt', 'CMakeFiles', 'Release']) {
    rmSync(join(root, 'build', name), { recursive: true, force: true });
  }
  return undefined;
}

export function parallelJobs() {
  const wanted = Number(process.env.CMAKE_BUILD_PARALLEL_LEVEL);
  if (wanted > 0) return Math.floor(wanted);
  return Math.max(1, Math.min(cpus().length, Math.floor(totalmem() / (GB_PER_JOB * 1e9))));
}

/** CMake's messages of a kind, which it wraps at 80 columns, each on one line. @param {string} output @param {'Warning' | 'Error'} kind */
function cmakeMessages(output, kind) {
  return [...output.matchAll(/^CMake (\w+).*\n((?:\n*^ {2}\S.*\n)+)/gm)]
    .filter(([, which]) => which === kind)
    .map(([, , text = '']) => text.replace(/\s+/g, ' ').trim());
}

/**
 * What CMake says about CUDA: the parts that it built, and why others were left out.
 * @param {string} output @returns {string[]}
 */
export function cudaNotes(output) {
  const states = [...output.matchAll(/^-- (CUDA: .*)$/gm)].map(([, text = '']) => text);
  return [...cmakeMessages(output, 'Warning').filter((text) => text.startsWith('CUDA: ')), ...states];
}

/** @param {string} output @param {string} log */
function buildFault(output, log) {
  const lines = output.split('\n').filter((line) => /\b(fatal )?error\b[: ]|undefined reference/i.test(line));
  const errors = [...cmakeMessages(output, 'Error').map((text) => text.slice(0, 600)), ...lines];
  const shown = lastLines(errors.length > 0 ? errors.slice(0, 8).join('\n') : output, 12);
  const memory = /Killed|cannot allocate memory|internal compiler error/i.test(output)
    ? '\nThe compiler ran out of memory; with one job at a time it needs 1.5 GB:  CMAKE_BUILD_PARALLEL_LEVEL=1 npm run setup'
    : '';
  return new SetupError(
    `The addon could not be built:\n${shown}${memory}\nThe whole log is in ${log}; \`npm run doctor\` shows the versions in use.`,
  );
}

/** @param {string} root @param {import('./report.mjs').Report} report @returns {Promise<string>} */
export async function buildAddon(root, report) {
  const search = searchLibtorch({ root });
  const libtorch = search.found;
  if (!libtorch) throw new SetupError(explainSearch(search, { root }), 2);
  const reason = addonFault(root, libtorch);
  if (!reason) return 'up to date';
  const fault = toolFault(checkTools(BUILD_TOOLS));
  if (fault) throw new SetupError(fault);

  const stamp = addonStamp(root, libtorch);
  const cmakeJs = createRequire(join(root, 'package.json')).resolve('cmake-js/bin/cmake-js');
  const jobs = parallelJobs();
  const generator = cachedGenerator(root);
  mkdirSync(join(root, 'build'), { recursive: true });
  rmSync(stampPath(root), { force: true }); // an interrupted build must not look like a finished one
  // `build` alone would keep an old configuration, e.g. another libtorch.
  const shared = ['--directory', root, ...(generator ? ['--generator', generator] : [])];
  const phases = [
    { name: 'configure', args: [...shared, `--CDTORCH_ROOT=${libtorch.path}`] },
    { name: 'build', args: [...shared, '--parallel', String(jobs)] },
  ];
  for (const { name, args } of phases) {
    report.progress(
      name === 'build' ? `compiling with ${jobs} job${jobs > 1 ? 's' : ''}, as ${reason}` : 'configuring',
    );
    const log = join(root, `build/${name}.log`);
    const { code, output } = await run(process.execPath, [cmakeJs, name, ...args], {
      cwd: root,
      log,
      onLine: (line) => {
        const share = line.match(/^\[ *(\d+%|\d+\/\d+)\]/)?.[1];
        if (share) report.progress(`compiling, ${share} done (${jobs} job${jobs > 1 ? 's' : ''})`);
      },
    });
    if (code !== 0) throw buildFault(output, log);
    if (name === 'configure') for (const note of cudaNotes(output)) report.note(note);
  }
  const loadFault = addonLoadFault(root);
  if (loadFault)
    throw new SetupError(
      `The addon was built but does not load: ${loadFault}\nRun \`npm run doctor\` for what is missing.`,
    );
  writeStamp(stampPath(root), stamp);
  return `built with libtorch ${libtorch.version}`;
}
