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

/** Not by `prepare.js phantom`, which ends with the command that trains: that comes next here. */
async function drawSlices() {
  if (existsSync(join(root, data, 'imageSlice'))) return;
  const { generatePhantom } = await import('../dist/datasets/phantom.js');
  const { slices } = generatePhantom({ outDir: join(root, data), seed: 1 });
  console.log(`Drew ${slices.length} phantom slices into ${data}; training on them.`);
}

/** Runs the training command; resolves with its exit code. */
function train(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'dist/train.js'), ...args], {
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

const { runMain } = await import('../dist/cli/run-main.js');
await runMain(async () => {
  const args = process.argv.slice(2);
  const quick = args.includes('--quick');
  const rest = args.filter((argument) => argument !== '--quick');
  await drawSlices();
  const settings = quick ? Object.entries(QUICK).flatMap(([key, value]) => ['--set', `${key}=${value}`]) : [];
  const workDir = quick ? ['--work_dir', 'work_dir_demo_quick'] : [];
  const code = await train(['--dataset', 'demo', ...workDir, ...settings, ...rest]);
  if (quick && code === 0) console.log('\n--quick: every part ran; the scores of so few steps mean nothing.');
  return code;
});
