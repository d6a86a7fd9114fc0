// One set-up at a time for one folder: two would build into each other's files.
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { onExit } from './run.mjs';

const POLL_MS = 500;
const BEAT_MS = 5_000;
/** A holder that has not touched its lock for so long is gone, whatever machine it ran on. */
export const STALE_MS = 60_000;

/** @param {string} file @returns {{ pid: number, host: string, age: number } | undefined} */
function readLock(file) {
  try {
    const age = Date.now() - statSync(file).mtimeMs;
    const [pid, host] = readFileSync(file, 'utf8').split('\n');
    return { pid: Number(pid), host: host ?? '', age };
  } catch {
    return undefined; // released in between
  }
}

/** @param {{ pid: number, host: string, age: number }} holder */
function isGone(holder) {
  if (holder.age > STALE_MS) return true;
  if (holder.host !== hostname() || !holder.pid) return false;
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH';
  }
}

/** @param {string} file @returns {boolean} whether it was free */
function take(file) {
  try {
    writeFileSync(file, `${process.pid}\n${hostname()}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    return false;
  }
}

/**
 * Only one of several waiters can rename a lock away; if what it got meanwhile is a successor's, it goes back.
 * @param {string} file
 */
function removeStale(file) {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
    const moved = readLock(aside);
    if (moved && !isGone(moved)) linkSync(aside, file);
  } catch {
    // Another waiter was first.
  }
  rmSync(aside, { force: true });
}

/**
 * Waits for the lock and takes it; a lock of a dead process is removed.
 * @param {string} file @param {(holder: { pid: number, host: string }) => void} onWait  called once if it must wait
 * @returns {Promise<() => void>} releases it
 */
export async function acquireLock(file, onWait) {
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  while (!take(file)) {
    const holder = readLock(file);
    if (holder && isGone(holder)) {
      removeStale(file);
      continue;
    }
    if (holder && !told) {
      told = true;
      onWait(holder);
    }
    await new Promise((resume) => setTimeout(resume, POLL_MS));
  }
  const beat = setInterval(() => {
    try {
      utimesSync(file, new Date(), new Date());
    } catch {
      // Somebody deleted build/ meanwhile; there is nothing left to keep alive.
    }
  }, BEAT_MS);
  beat.unref();
  return onExit(() => {
    clearInterval(beat);
    if (readLock(file)?.pid === process.pid) rmSync(file, { force: true });
  });
}
