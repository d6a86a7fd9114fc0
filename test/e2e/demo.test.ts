/** `npm run demo -- --quick` but for its set-up, in a folder of its own. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { type Ended, observe, Workplace } from './workplace.js';

const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

function demo(place: Workplace, ...args: string[]): Promise<Ended> {
  mkdirSync(place.path('scripts'));
  cpSync(root('scripts/demo.mjs'), place.path('scripts/demo.mjs'));
  symlinkSync(root('dist'), place.path('dist'), 'junction');
  const env = { ...process.env, OMP_NUM_THREADS: '1' };
  const child = spawn(process.execPath, [place.path('scripts/demo.mjs'), ...args], { env, stdio: 'pipe' });
  return observe(child).ended;
}

it('draws slices, trains, validates and exports, and tells nobody to train what it trains itself', async () => {
  const place = new Workplace();
  const { code, stdout, stderr } = await demo(place, '--quick', '--cpu');
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('Drew 480 phantom slices into data/phantom-lasc; training on them.');
  expect(stdout + stderr).not.toContain('Train with');
  expect(place.json('work_dir_demo_quick', 'summary.json').iterations).toBe(12);
  expect(place.files('work_dir_demo_quick/attention_maps')).toHaveLength(12);
});

it('ends as training does, and says so of slices that cannot be drawn', async () => {
  const [flag, file] = [new Workplace(), new Workplace()];
  // A file is where the folder of slices is to be.
  mkdirSync(file.path('data'));
  cpSync(root('package.json'), file.path('data/phantom-lasc'));
  const [refused, full] = await Promise.all([demo(flag, '--quick', '--cpuu'), demo(file)]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/Error: Unknown option '--cpuu'. Did you mean --cpu\? See --help./);
  expect(refused.stdout).not.toContain('every part ran');
  expect(full.code).toBe(2);
  expect(full.stderr).toMatch(/^Error: .*phantom-lasc.*\n$/);
});
