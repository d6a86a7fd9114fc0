// Where libtorch is: the one answer for the build (CMakeLists.txt, binding.gyp), the loader's message and
// `npm run doctor`. Plain JavaScript without dependencies, as it runs before node_modules exists.
//
//   node scripts/libtorch.mjs root | include | lib | version | cmake | json
import { spawnSync } from 'node:child_process';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspectLibtorch, SUPPORTED_TEXT } from './lib/inspect-libtorch.mjs';
import { isMain } from './lib/run.mjs';

/** The package's folder: a checkout, or node_modules/medical-afa. */
export const packageRoot = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

/** Release that set-up installs, and that all reference numbers were made with. */
export const PINNED_VERSION = '2.13.0';

/** Where unpacked downloads and distributions put it; `/usr` is Debian's libtorch-dev. */
const SYSTEM_FOLDERS = ['/usr/lib/libtorch', '/opt/libtorch', '/usr/local/libtorch', '/usr'];

/**
 * @typedef {import('./lib/inspect-libtorch.mjs').Inspection} Inspection
 * @typedef {'LIBTORCH' | 'LIBTORCH_USE_PYTORCH' | 'project' | 'system'} Source
 * @typedef {Inspection & { source: Source, what: string, explicit: boolean }} Candidate
 *   one place searched; `explicit` ones were asked for by the environment
 * @typedef {{ found: Candidate | undefined, candidates: Candidate[] }} Search
 * @typedef {object} SearchOptions
 * @property {NodeJS.ProcessEnv} [env]
 * @property {string} [root]             package folder whose `.libtorch/` counts
 * @property {string[]} [systemFolders]
 */

/** Folder of Python's `torch`, found without importing it (an import takes seconds). @param {string} python */
function pythonTorch(python) {
  const code =
    "import importlib.util as u; s = u.find_spec('torch'); print(next(iter(s.submodule_search_locations), '') if s else '')";
  const { stdout, error, status } = spawnSync(python, ['-c', code], { encoding: 'utf8' });
  if (error || status !== 0) return { reason: `${python} does not run` };
  const path = stdout.trim();
  return path ? { path } : { reason: `${python} has no package torch` };
}

/** @param {NodeJS.ProcessEnv} env @returns {Candidate[]} */
function requested(env) {
  /** @type {Candidate[]} */
  const list = [];
  if (env.LIBTORCH) {
    const what = `LIBTORCH=${env.LIBTORCH}`;
    list.push({ source: 'LIBTORCH', what, explicit: true, ...inspectLibtorch(resolve(env.LIBTORCH)) });
  }
  if (env.LIBTORCH_USE_PYTORCH === '1') {
    const python = env.PYTHON || 'python3';
    const what = `torch of ${python} (LIBTORCH_USE_PYTORCH=1)`;
    const { path, reason } = pythonTorch(python);
    const verdict = path
      ? inspectLibtorch(path)
      : { path: python, ok: false, reason, fix: `${python} -m pip install torch==${PINNED_VERSION}` };
    list.push({ source: 'LIBTORCH_USE_PYTORCH', what, explicit: true, ...verdict });
  }
  return list;
}

/**
 * Judges every place in order: $LIBTORCH, Python's torch when LIBTORCH_USE_PYTORCH=1, the package's own
 * `.libtorch/`, the system's. The first usable one is found, except that a refused $LIBTORCH or Python torch ends
 * the search: who asks for a certain libtorch must not silently get another.
 * @param {SearchOptions} [options] @returns {Search}
 */
export function searchLibtorch(options = {}) {
  const { env = process.env, root = packageRoot, systemFolders = SYSTEM_FOLDERS } = options;
  const own = join(root, '.libtorch', 'torch');
  /** @type {Candidate[]} */
  const candidates = [
    ...requested(env),
    { source: 'project', what: 'the package’s own', explicit: false, ...inspectLibtorch(own) },
    ...systemFolders.map((folder) => {
      const verdict = inspectLibtorch(folder);
      return {
        source: /** @type {Source} */ ('system'),
        what: folder === '/usr' ? 'libtorch-dev' : 'system',
        explicit: false,
        ...verdict,
      };
    }),
  ];
  const decisive = candidates.find((candidate) => candidate.ok || candidate.explicit);
  return { found: decisive?.ok ? decisive : undefined, candidates };
}

/** @param {SearchOptions} [options] @returns {Candidate | undefined} the libtorch to build and load with */
export function findLibtorch(options) {
  return searchLibtorch(options).found;
}

/** One line for each place. @param {Search} search @param {NodeJS.ProcessEnv} [env] @returns {string[]} */
export function describeCandidates(search, env = process.env) {
  const lines = search.candidates.map((candidate) => {
    const place = candidate.explicit ? candidate.what : `${candidate.path} (${candidate.what})`;
    const state =
      candidate === search.found
        ? `used: ${candidate.version} (${candidate.flavour})`
        : candidate.ok
          ? `usable: ${candidate.version} (${candidate.flavour}), but an earlier place decides`
          : `refused: ${candidate.reason}${candidate.fix ? ` (${candidate.fix})` : ''}`;
    return `  ${place}: ${state}`;
  });
  if (env.LIBTORCH_USE_PYTORCH !== '1') {
    lines.push('  Python’s torch: not looked at (LIBTORCH_USE_PYTORCH is not 1)');
  }
  return lines;
}

/**
 * The message for when there is none: every place searched, why it was refused, and every remedy.
 * @param {Search} [search] @param {SearchOptions} [options] @returns {string}
 */
export function explainSearch(search, options = {}) {
  const { env = process.env, root = packageRoot } = options;
  const { found, candidates } = search ?? searchLibtorch(options);
  const refused = found ? undefined : candidates.find((candidate) => candidate.explicit);
  const lines = found
    ? [`libtorch ${found.version} (${found.flavour}) is used from ${found.path}. Searched:`]
    : refused
      ? [`Expected a usable libtorch for ${refused.what} but it was refused: ${refused.reason}. Searched:`]
      : [`Expected libtorch ${SUPPORTED_TEXT} but none of these places has it:`];
  lines.push(...describeCandidates({ found, candidates }, env));
  if (found) return lines.join('\n');
  const folder = relative(process.cwd(), root);
  const setup = folder ? `(cd ${root} && npm run setup)` : 'npm run setup';
  lines.push('Any one of these mends it:');
  if (refused) {
    lines.push(`  - correct ${refused.source}, or unset it:  unset ${refused.source} && npm run setup`);
  } else {
    lines.push(`  - let set-up install libtorch ${PINNED_VERSION} (CPU) into .libtorch/:  ${setup}`);
  }
  lines.push(
    '  - use an unpacked libtorch (https://pytorch.org/get-started/locally, C++ / LibTorch):  LIBTORCH=/path/to/libtorch npm run setup',
    '  - use the torch of a Python environment:  LIBTORCH_USE_PYTORCH=1 PYTHON=/path/to/python npm run setup',
  );
  return lines.join('\n');
}

/** @param {string | undefined} topic @returns {number} exit code */
function main(topic) {
  const search = searchLibtorch();
  if (topic === 'json') {
    console.log(JSON.stringify(search, null, 2));
    return search.found ? 0 : 1;
  }
  const { found } = search;
  /** @type {Record<string, () => string>} */
  const answers = {
    root: () => found?.path ?? '',
    include: () => (found?.include ?? []).join('\n'),
    lib: () => found?.lib ?? '',
    version: () => found?.version ?? '',
    cmake: () => `-DTORCH_ROOT=${found?.path}`,
  };
  const answer = topic === undefined ? undefined : answers[topic];
  if (!answer) {
    console.error(
      `Expected one of ${Object.keys(answers).join(', ')}, json but received ${topic ?? 'nothing'}`,
    );
    return 2;
  }
  if (!found) {
    console.error(explainSearch(search));
    return 1;
  }
  console.log(answer());
  return 0;
}

if (isMain(import.meta.url)) process.exitCode = main(process.argv[2]);
