// Set-up's processes: one at a time, clean after a signal, one clear message for wrong use; doctor's report.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireLock, STALE_MS } from '../../scripts/lib/lock.mjs';
import { run } from '../../scripts/lib/run.mjs';

const scripts = fileURLToPath(new URL('../../scripts/', import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'afa-process-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the lock', () => {
  it('lets a second one in only after the first', async () => {
    const file = join(folder, 'build/.setup-lock');
    const release = await acquireLock(file, () => expect.unreachable('the lock was free'));
    const order: string[] = [];
    const second = acquireLock(file, ({ pid }) => order.push(`waits for ${pid === process.pid}`)).then(
      (free) => {
        order.push('second');
        free();
      },
    );
    await new Promise((resume) => setTimeout(resume, 100));
    order.push('first released');
    release();
    await second;
    expect(order).toEqual(['waits for true', 'first released', 'second']);
    expect(existsSync(file)).toBe(false);
  });

  it('of a dead process, or one not touched for long, is taken over', async () => {
    const file = join(folder, 'lock');
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    const { hostname } = await import('node:os');
    writeFileSync(file, `${dead}\n${hostname()}\n`);
    (await acquireLock(file, () => expect.unreachable('its holder is dead')))();

    writeFileSync(file, `${process.pid}\nanother-machine\n`);
    const past = new Date(Date.now() - STALE_MS - 1000);
    utimesSync(file, past, past);
    (await acquireLock(file, () => expect.unreachable('its holder is gone')))();
  });
});

describe('child processes', () => {
  it('give their code and lines, and 127 when there is no such command', async () => {
    const lines: string[] = [];
    const log = join(folder, 'log');
    const args = ['-e', 'console.log("a\\nb"); process.exit(3)'];
    const result = await run(process.execPath, args, { log, onLine: (line) => lines.push(line) });
    expect(result).toEqual({ code: 3, output: 'a\nb\n' });
    expect(lines).toEqual(['a', 'b']);
    expect(readFileSync(log, 'utf8')).toContain('a\nb\n');
    expect((await run(join(folder, 'none'), [])).code).toBe(127);
  });

  it('end with set-up at Ctrl-C, and its temporary things are removed', async () => {
    const temporary = join(folder, 'temporary');
    const module = pathToFileURL(join(scripts, 'lib/run.mjs')).href;
    // The grandchild stands for a compiler under make.
    const code = `
      import { writeFileSync, rmSync } from 'node:fs';
      const { run, onExit } = await import(${JSON.stringify(module)});
      writeFileSync(${JSON.stringify(temporary)}, '');
      onExit(() => rmSync(${JSON.stringify(temporary)}));
      await run('sh', ['-c', 'sleep 60 & echo $!; wait'], { onLine: (line) => console.log(line) });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const grandchild = Number(
      await new Promise((first) => child.stdout.once('data', (data) => first(String(data)))),
    );
    expect(existsSync(temporary)).toBe(true);
    const ended = new Promise((done) => child.on('exit', done));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(existsSync(temporary)).toBe(false);
    await expect.poll(() => isRunning(grandchild)).toBe(false);
  });
});

/** A killed process that nobody has reaped yet is a zombie: state Z in /proc. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, 'utf8'));
}

describe('the commands', () => {
  const call = (script: string, args: string[], env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, [join(scripts, script), ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });

  it.each(['setup.mjs', 'doctor.mjs'])(
    '%s refuses an unknown flag with exit code 2 and shows its help',
    (script) => {
      const { status, stderr } = call(script, ['--fast']);
      expect(status).toBe(2);
      expect(stderr).toMatch(/^\s*Expected .* but received --fast/);
      expect(stderr).toContain('Usage: npm run');
      expect(call(script, ['--help'])).toMatchObject({ status: 0 });
    },
  );

  it('doctor gives one JSON document whose verdict is its exit code', () => {
    const { status, stdout } = call('doctor.mjs', ['--json']);
    const report = JSON.parse(stdout);
    expect(status).toBe(report.ok ? 0 : 1);
    const names = report.checks.map((check: { name: string }) => check.name);
    expect(names).toEqual(
      expect.arrayContaining(['node', 'npm', 'compiler', 'cmake', 'libtorch', 'addon', 'dist']),
    );
    expect(report.checks[0]).toEqual({ name: 'node', state: 'ok', value: process.versions.node });
    // The tests themselves run on the addon, so it is there and loads.
    expect(report.addon.info.torchVersion).toMatch(/^2\.1[1-4]\./);
    expect(report.devices.cpu).toEqual({ available: true });
    for (const name of ['cuda', 'mps']) {
      const device = report.devices[name];
      expect(device.available || device.reason.length > 0).toBe(true);
    }
  });

  it('doctor shows a wrong LIBTORCH, why it was refused and what mends it', () => {
    const { status, stdout } = call('doctor.mjs', ['--json'], { LIBTORCH: folder });
    expect(status).toBe(1);
    const report = JSON.parse(stdout);
    const libtorch = report.checks.find((check: { name: string }) => check.name === 'libtorch');
    expect(libtorch.state).toBe('fault');
    expect(libtorch.fix).toBe('unset LIBTORCH && npm run setup');
    expect(report.libtorch.candidates[0]).toMatchObject({ source: 'LIBTORCH', ok: false });
    expect(report.libtorch.candidates[0].reason).toMatch(/^lib\/libtorch_cpu\.(so|dylib) is missing$/);
  });
});
