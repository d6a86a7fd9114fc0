// Child processes and clean-up of set-up: nothing is left running or half made after Ctrl-C.
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, realpathSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A fault with its remedy, shown without a stack. `exitCode` 2: usage or configuration; 1: the rest. */
export class SetupError extends Error {
  /** @param {string} message @param {number} [exitCode] */
  constructor(message, exitCode = 1) {
    super(message);
    this.name = 'SetupError';
    this.exitCode = exitCode;
  }
}

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
/** @type {Set<() => void>} */
const cleanups = new Set();

/** @param {NodeJS.Signals} signal */
function killChildren(signal) {
  for (const child of children) {
    try {
      // Each child leads a process group: cmake's compilers and pip's downloads end with it.
      if (child.pid) process.kill(-child.pid, signal);
    } catch {
      // Gone already.
    }
  }
}

const SIGNALS = /** @type {const} */ ({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 });

/** @param {NodeJS.Signals} signal */
function interrupt(signal) {
  killChildren('SIGKILL');
  process.stderr.write(`\nInterrupted (${signal}); run the same command again to go on.\n`);
  process.exit(SIGNALS[/** @type {keyof typeof SIGNALS} */ (signal)]);
}

function cleanUp() {
  for (const action of cleanups) action();
}

/** Signals are ours only while there is something to end or to remove. */
function watchSignals() {
  const names = /** @type {NodeJS.Signals[]} */ (Object.keys(SIGNALS));
  for (const signal of names) process.off(signal, interrupt);
  process.off('exit', cleanUp);
  if (children.size + cleanups.size === 0) return;
  for (const signal of names) process.on(signal, interrupt);
  process.on('exit', cleanUp);
}

/** Registers work to be done at the end, however it comes. @param {() => void} action @returns {() => void} does it now */
export function onExit(action) {
  cleanups.add(action);
  watchSignals();
  return () => {
    if (cleanups.delete(action)) action();
    watchSignals();
  };
}

/**
 * Runs a command to its end. Its output goes to the file `log` when given and to `onLine` line by line.
 * @param {string} command @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, log?: string, onLine?: (line: string) => void }} [options]
 * @returns {Promise<{ code: number, output: string }>} code 127 when it cannot be started
 */
export function run(command, args, { cwd, env, log, onLine } = {}) {
  if (log) writeFileSync(log, `$ ${[command, ...args].join(' ')}\n`);
  return new Promise((done) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    children.add(child);
    watchSignals();
    let output = '';
    let partial = '';
    const receive = (/** @type {string} */ text) => {
      output = (output + text).slice(-(1 << 20));
      if (log) appendFileSync(log, text);
      const lines = (partial + text).split(/[\r\n]+/);
      partial = lines.pop() ?? '';
      for (const line of lines) onLine?.(line);
    };
    child.stdout.setEncoding('utf8').on('data', receive);
    child.stderr.setEncoding('utf8').on('data', receive);
    child.on('error', (error) => {
      children.delete(child);
      watchSignals();
      done({ code: 127, output: `${output}${error.message}\n` });
    });
    child.on('close', (code) => {
      children.delete(child);
      watchSignals();
      done({ code: code ?? 1, output });
    });
  });
}

/** Standard output of a quick command, or undefined when it fails. @param {string} command @param {string[]} args */
export function capture(command, args) {
  const { status, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** Last non-empty lines, for error messages. @param {string} output @param {number} count */
export function lastLines(output, count) {
  const lines = output.split(/[\r\n]+/).filter((line) => line.trim());
  return lines
    .slice(-count)
    .map((line) => `    ${line}`)
    .join('\n');
}

/** Whether a module is the script that node was started with, also through a link. @param {string} moduleUrl */
export function isMain(moduleUrl) {
  const script = process.argv[1];
  return script !== undefined && existsSync(script) && realpathSync(script) === fileURLToPath(moduleUrl);
}

/** Runs a script's main function: its faults end as one paragraph and an exit code. @param {() => Promise<number>} main */
export async function runMain(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`\n${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}
