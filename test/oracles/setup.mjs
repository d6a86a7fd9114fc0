// Makes .oracles/, a Python environment with requirements.txt, for the tests that compare with Python tools.
// Best effort: without it those tests are skipped and say so. Exit code 0 when the environment is complete.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { step } from '../../scripts/lib/report.mjs';
import { capture, lastLines, run, runMain, SetupError } from '../../scripts/lib/run.mjs';
import { pythonCommand } from '../../scripts/lib/tools.mjs';
import { packageRoot } from '../../scripts/libtorch.mjs';

const CPU_INDEX = 'https://download.pytorch.org/whl/cpu';
const requirements = fileURLToPath(new URL('requirements.txt', import.meta.url));
const folder = join(packageRoot, '.oracles');
const python = join(folder, 'bin/python');

const IS_COMPLETE = `
import importlib.util, sys
sys.exit(0 if all(importlib.util.find_spec(m) for m in ('torch', 'numpy', 'sklearn', 'tensorboard')) else 1)`;

/** @returns {Promise<string[]>} the pip command for the new environment */
async function makeEnvironment() {
  rmSync(folder, { recursive: true, force: true });
  const whole = await run(pythonCommand(), ['-m', 'venv', folder]);
  if (whole.code === 0) return [python, '-m', 'pip'];
  // Debian keeps the part that brings pip in a package of its own; a pip outside serves as well.
  rmSync(folder, { recursive: true, force: true });
  const bare = await run(pythonCommand(), ['-m', 'venv', '--without-pip', folder]);
  if (bare.code !== 0)
    throw new SetupError(`No Python environment could be made:\n${lastLines(whole.output, 4)}`);
  return [pythonCommand(), '-m', 'pip', '--python', python];
}

/** @param {import('../../scripts/lib/report.mjs').Report} report */
async function main(report) {
  if (existsSync(python) && capture(python, ['-c', IS_COMPLETE]) !== undefined) return 'up to date';
  report.progress('making .oracles/');
  const [command = '', ...pip] = await makeEnvironment();
  report.progress('installing torch, numpy, scikit-learn and tensorboard');
  const args = [...pip, 'install', '--no-input', '-r', requirements];
  // PyTorch's index has builds without CUDA; where it cannot be reached, the user's own index decides.
  const cpu = await run(command, [
    ...args,
    '--extra-index-url',
    CPU_INDEX,
    '--retries',
    '0',
    '--timeout',
    '15',
  ]);
  const last = cpu.code === 0 ? cpu : await run(command, args);
  if (last.code !== 0)
    throw new SetupError(`pip could not install the oracles:\n${lastLines(last.output, 6)}`);
  return 'installed';
}

await runMain(async () => {
  await step('Oracles', main);
  return 0;
});
