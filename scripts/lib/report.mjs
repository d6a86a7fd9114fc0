// What set-up says: one line a step with its time, and signs of life during the long ones. On stderr, as stdout
// may be a command's JSON.

const HEARTBEAT_MS = 15_000;

/**
 * @typedef {object} Report
 * @property {(text: string) => void} progress  replaces the running line on a terminal; elsewhere a line every 15 s
 * @property {(text: string) => void} note      a line of its own
 */

/**
 * Runs one step and prints `title: outcome (seconds)`.
 * @template {string} T
 * @param {string} title @param {(report: Report) => Promise<T> | T} work  returns the outcome
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const started = performance.now();
  const terminal = process.stderr.isTTY === true;
  const seconds = () => (performance.now() - started) / 1000;
  let text = '';
  let shown = false;
  const draw = () => {
    const line = `${title}: ${text} (${seconds().toFixed(0)} s)`;
    if (terminal) process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
    else process.stderr.write(`${line}\n`);
    shown = true;
  };
  const timer = setInterval(() => text && draw(), terminal ? 1000 : HEARTBEAT_MS);
  const clear = () => terminal && shown && process.stderr.write('\r\x1b[K');
  try {
    const outcome = await work({
      progress(next) {
        const first = text === '';
        text = next;
        if (terminal || first) draw();
      },
      note(line) {
        clear();
        process.stderr.write(`${title}: ${line}\n`);
      },
    });
    clear();
    process.stderr.write(`${title}: ${outcome} (${seconds().toFixed(1)} s)\n`);
    return outcome;
  } catch (error) {
    clear();
    process.stderr.write(`${title}: failed (${seconds().toFixed(1)} s)\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}
