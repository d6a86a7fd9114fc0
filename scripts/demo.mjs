// npm run demo: makes the phantom slices, trains on them, validates, exports attention maps.
// Further arguments go to the training command: npm run demo -- --seed 2
// --quick trains a few steps of every phase only, to show that all parts work: its scores mean nothing.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const data = join('data', 'phantom-lasc');

const QUICK = {
  'train.max_iters': 12,
  'train.cam_iters': 4,
  'train.aff_label_switch_iter': 8,
  'train.eval_iters': 12,
  'train.log_iters': 4,
  'dataset.slice_split': '[0, 12]',
};

/** Runs one of the product's commands; resolves with its exit code. */
function run(script, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'dist', script), ...args], {
      cwd: root,
      stdio: 'inherit',
    });
    // Ctrl-C reaches the child as well, which saves and ends; leaving first would cut off what it says.
    const stay = () => {};
    process.on('SIGINT', stay);
    child.on('error', reject);
    child.on('exit', (code) => {
      process.off('SIGINT', stay);
      resolve(code ?? 1);
    });
  });
}

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const rest = args.filter((argument) => argument !== '--quick');

if (!existsSync(join(root, data, 'imageSlice'))) {
  const code = await run('prepare.js', ['phantom', '--out', data, '--seed', '1']);
  if (code !== 0) process.exit(code);
}
const settings = quick ? Object.entries(QUICK).flatMap(([key, value]) => ['--set', `${key}=${value}`]) : [];
const workDir = quick ? ['--work_dir', 'work_dir_demo_quick'] : [];
const code = await run('train.js', ['--dataset', 'demo', ...workDir, ...settings, ...rest]);
if (quick) console.log('\n--quick: every part ran; the scores of so few steps mean nothing.');
process.exit(code);
