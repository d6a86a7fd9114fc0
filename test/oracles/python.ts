/**
 * Access to Python tools that serve as oracles (torch, numpy, scikit-learn, tensorboard).
 * They are optional: a test that needs one is skipped, and says so, where no Python here has it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const packageRoot = fileURLToPath(new URL('../../', import.meta.url));
const cache = new Map<string, string | undefined>();

/** Candidates in order: the user's choice, the environment that test/oracles/setup.mjs makes, the system's. */
function candidates(): string[] {
  const named = process.env.AFA_ORACLE_PYTHON;
  const own = `${packageRoot}.oracles/bin/python`;
  return [...(named ? [named] : []), ...(existsSync(own) ? [own] : []), 'python3'];
}

/** Whether the modules are there; tells where one cannot be imported, as what an installation left half done. */
function hasModules(python: string, modules: string[]): boolean {
  // `import torch` alone takes seconds, where it is there: what is missing is known sooner.
  const find =
    'import importlib.util as u, sys; sys.exit(0 if all(u.find_spec(m) for m in sys.argv[1:]) else 1)';
  if (spawnSync(python, ['-c', find, ...modules], { stdio: 'ignore' }).status !== 0) return false;
  // A folder without a module in it imports as an empty package.
  const load =
    'import importlib as i, sys\nfor m in sys.argv[1:]:\n' +
    '  if i.import_module(m).__file__ is None: sys.exit(f"{m} is an empty folder")';
  const { status, stderr } = spawnSync(python, ['-c', load, ...modules], { encoding: 'utf8' });
  if (status !== 0)
    console.info(`${python} has ${modules.join(', ')}, but: ${stderr.trim().split('\n').at(-1)}`);
  return status === 0;
}

/**
 * First Python that can import all `modules` (top-level import names, e.g. `sklearn`), or undefined.
 * Looks at $AFA_ORACLE_PYTHON, `.oracles/bin/python` and `python3`, in that order; answers are cached.
 */
export function findPython(modules: string[]): string | undefined {
  const key = modules.join(',');
  if (!cache.has(key)) {
    const found = candidates().find((python) => hasModules(python, modules));
    if (!found) {
      console.info(
        `Skipped: no Python here has ${modules.join(', ')}; \`node test/oracles/setup.mjs\` makes one.`,
      );
    }
    cache.set(key, found);
  }
  return cache.get(key);
}

/**
 * Runs `code` with `args` as sys.argv[1:] and returns its standard output.
 * @throws Error with Python's standard error when it exits with another code than 0.
 */
export function runPython(python: string, code: string, args: string[] = []): string {
  const result = spawnSync(python, ['-c', code, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    throw new Error(`${python} ended with ${result.status ?? result.signal}:\n${result.stderr}`);
  }
  return result.stdout;
}
