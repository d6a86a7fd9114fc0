// A Python with PyTorch, to measure beside: the user's choice, the one that test/oracles/setup.mjs makes, the system's.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

function findPython() {
  const own = path('../../.oracles/bin/python');
  const candidates = [process.env.AFA_ORACLE_PYTHON, existsSync(own) && own, 'python3'].filter(Boolean);
  const code = 'import importlib.util as u, sys; sys.exit(0 if u.find_spec("torch") else 1)';
  return candidates.find((python) => spawnSync(python, ['-c', code], { stdio: 'ignore' }).status === 0);
}

/** PyTorch in a process of its own that times operations when asked; undefined where no Python has it. */
export async function startPython() {
  const python = findPython();
  if (!python) return undefined;
  const child = spawn(python, [path('python-ops.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${python} ended before it answered`);
    return value;
  };
  const version = await answer();
  return {
    version,
    /** Nanoseconds an operation, over `count` of them; undefined for one that this Python cannot do. */
    async measure(name, count) {
      child.stdin.write(`${name} ${count}\n`);
      const text = await answer();
      return text === 'missing' ? undefined : Number(text);
    },
    stop: () => child.stdin.end(),
  };
}
