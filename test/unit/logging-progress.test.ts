import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { setupLogger } from '../../src/training/logging.js';
import { createProgress } from '../../src/training/progress.js';

const HEIGHT = 6;

/** The control sequences that a bar uses, applied as a small terminal would: what a person sees in the end. */
function screen(output: string): string[] {
  const history: string[] = [];
  let lines: string[] = [''];
  let [row, column, saved] = [0, 0, [0, 0]];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is parsed here
  for (const [token] of output.matchAll(/\x1b\[\??\d*(?:;\d*)?[A-Za-z]|\x1b[78]|[\s\S]/g)) {
    if (token === '\n') {
      column = 0;
      if (++row === HEIGHT) {
        history.push(lines.shift()!);
        row--;
      }
      lines[row] ??= '';
    } else if (token === '\r' || token === '\x1b[1G') column = 0;
    else if (token === '\x1b[0K') lines[row] = lines[row]!.slice(0, column);
    else if (token === '\x1b[2K') lines[row] = '';
    else if (token === '\x1b7') saved = [row, column];
    else if (token === '\x1b8') [row, column] = saved as [number, number];
    else if (token.startsWith('\x1b')) throw new Error(`unexpected sequence ${JSON.stringify(token)}`);
    else {
      const line = lines[row]!.padEnd(column);
      lines[row] = line.slice(0, column) + token + line.slice(column + 1);
      column++;
    }
  }
  lines = [...history, ...lines];
  return lines.filter((line) => line.trim() !== '');
}

function terminal(isTTY: boolean) {
  let output = '';
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 100 });
  stream.on('data', (chunk) => {
    output += chunk;
  });
  return { stream, output: () => output };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  vi.stubEnv('TERM', 'xterm');
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

describe('on a terminal', () => {
  it('shows count, details and ETA, and leaves nothing behind', () => {
    const { stream, output } = terminal(true);
    const bar = createProgress({ label: 'Training', total: 200, stream });
    vi.advanceTimersByTime(10_000);
    bar.update(50, 'loss 0.4321');
    const shown = screen(output());
    expect(shown).toHaveLength(1);
    expect(shown[0]).toMatch(/^Training =+> +25% \| 50\/200 \| loss 0\.4321 \| ETA 0:00:30$/);
    bar.stop();
    bar.stop();
    bar.update(60);
    expect(screen(output())).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('keeps every logged line whole, also once the screen scrolls', () => {
    const { stream, output } = terminal(true);
    const logger = setupLogger(undefined, { stream });
    const bar = createProgress({ label: 'Training', total: 40, stream, logger });
    const logged: string[] = [];
    for (let i = 1; i <= 20; i++) {
      vi.advanceTimersByTime(1000);
      bar.update(i);
      logger.info(`Iter: ${i}`);
      logged.push(`INFO: Iter: ${i}`);
    }
    const lines = screen(output()).map((line) => line.replace(/^.* - (?=INFO)/, ''));
    expect(lines.slice(0, -1)).toEqual(logged);
    expect(lines.at(-1)).toContain('20/40');
    bar.stop();
    logger.info('after');
    expect(screen(output()).map((line) => line.replace(/^.* - (?=INFO)/, ''))).toEqual([
      ...logged,
      'INFO: after',
    ]);
  });

  it('does not count iterations from before a resume for the pace', () => {
    const { stream, output } = terminal(true);
    const bar = createProgress({ label: 'Training', total: 200, done: 100, stream });
    vi.advanceTimersByTime(10_000);
    bar.update(150);
    expect(screen(output())[0]).toContain('150/200 | ETA 0:00:10');
    bar.stop();
  });

  it('shows nothing when quiet', () => {
    const { stream, output } = terminal(true);
    const bar = createProgress({ label: 'Training', total: 2, stream, quiet: true });
    bar.update(1);
    bar.stop();
    expect(output()).toBe('');
  });

  it('leaves Ctrl-C to the training', () => {
    const listeners = process.listenerCount('SIGINT');
    const bar = createProgress({ label: 'Training', total: 2, stream: terminal(true).stream });
    expect(process.listenerCount('SIGINT')).toBe(listeners);
    bar.stop();
  });
});

describe('elsewhere', () => {
  it('writes plain lines at intervals and at the end', () => {
    const { stream, output } = terminal(false);
    const bar = createProgress({ label: 'Exporting', total: 40, stream });
    for (let i = 1; i <= 40; i++) {
      vi.advanceTimersByTime(500);
      bar.update(i);
    }
    bar.stop();
    expect(output()).toBe('Exporting: 20/40 (50%), ETA 0:00:10\nExporting: 40/40 (100%), ETA 0:00:00\n');
  });

  it('takes a dumb terminal for none, and passes lines through the logger', () => {
    vi.stubEnv('TERM', 'dumb');
    const { stream, output } = terminal(true);
    const logger = setupLogger(undefined, { stream });
    createProgress({ label: 'Reading', total: 1, stream, logger }).update(1, '100%d');
    expect(output()).toMatch(/ - INFO: Reading: 1\/1 \(100%\) 100%d, ETA 0:00:00\n$/);
  });

  it('stays silent where the caller writes lines of its own', () => {
    const { stream, output } = terminal(false);
    createProgress({ label: 'Training', total: 1, stream, plainEverySeconds: false }).update(1);
    expect(output()).toBe('');
  });
});
