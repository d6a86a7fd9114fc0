import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setupLogger, timestamp } from '../../src/training/logging.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logging-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function capture() {
  const stream = new PassThrough();
  return { stream, text: () => String(stream.read() ?? '') };
}

const withoutTime = (text: string) => text.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - /gm, '');

/** What file and console receive of one message of each level. */
function allLevels(options: { quiet?: boolean; verbose?: boolean }) {
  const file = join(folder, 'run.log');
  const { stream, text } = capture();
  const logger = setupLogger(file, { ...options, stream });
  logger.debug('d');
  logger.info('i');
  logger.warn('w');
  logger.error('e');
  // Before close: every line must be on the disk at once.
  const written = readFileSync(file, 'utf8');
  logger.close();
  return { file: withoutTime(written), console: withoutTime(text()) };
}

describe('timestamp', () => {
  it('has the form of Python logging', () => {
    expect(timestamp(new Date(2026, 0, 31, 9, 5, 7, 42))).toBe('2026-01-31 09:05:07,042');
  });
});

describe('setupLogger', () => {
  const warnings = 'WARNING: w\nERROR: e\n';

  it('writes the same timed lines to file and console', () => {
    expect(allLevels({})).toEqual({ file: `INFO: i\n${warnings}`, console: `INFO: i\n${warnings}` });
  });

  it('keeps information off the console when quiet, not out of the file', () => {
    expect(allLevels({ quiet: true })).toEqual({ file: `INFO: i\n${warnings}`, console: warnings });
  });

  it('adds debug messages when verbose', () => {
    const all = `DEBUG: d\nINFO: i\n${warnings}`;
    expect(allLevels({ verbose: true })).toEqual({ file: all, console: all });
  });

  it('lets quiet rule the console and verbose the file', () => {
    expect(allLevels({ quiet: true, verbose: true })).toEqual({
      file: `DEBUG: d\nINFO: i\n${warnings}`,
      console: warnings,
    });
  });

  it('fills in values, and leaves a lone percent sign alone', () => {
    const { stream, text } = capture();
    const logger = setupLogger(undefined, { stream });
    logger.info('Iter: %d; loss: %s', 7, '0.1234', { lr: 1 });
    logger.info('100% done, 50%d');
    expect(withoutTime(text())).toBe('INFO: Iter: 7; loss: 0.1234 { lr: 1 }\nINFO: 100% done, 50%d\n');
  });

  it('appends to a file that is there', () => {
    const file = join(folder, 'run.log');
    writeFileSync(file, 'before\n');
    const logger = setupLogger(file, { stream: capture().stream });
    logger.info('after');
    logger.close();
    logger.close();
    logger.info('console only');
    expect(withoutTime(readFileSync(file, 'utf8'))).toBe('before\nINFO: after\n');
  });

  it('names file and remedy when the file cannot be opened', () => {
    expect(() => setupLogger(join(folder, 'absent', 'run.log'))).toThrow(
      /Cannot write .*run\.log.*folder does not exist/,
    );
    expect(() => setupLogger(folder)).toThrow(/it is a folder/);
  });

  it.skipIf(process.platform !== 'linux')('goes on without the file when the disk is full', () => {
    const { stream, text } = capture();
    const logger = setupLogger('/dev/full', { stream });
    logger.info('first');
    logger.info('second');
    const output = withoutTime(text());
    expect(output).toContain('disk is full');
    expect(output.match(/WARNING/g)).toHaveLength(1);
    expect(output).toContain('INFO: first\n');
    expect(output).toContain('INFO: second\n');
  });

  it('moves a status line out of the way of each console line', () => {
    const { stream, text } = capture();
    const logger = setupLogger(undefined, { stream, quiet: true });
    const detach = logger.attach({
      clear: () => stream.write('<clear>'),
      redraw: () => stream.write('<redraw>'),
    });
    logger.info('hidden');
    expect(text()).toBe('');
    logger.warn('seen');
    expect(withoutTime(text().replace('<clear>', ''))).toBe('WARNING: seen\n<redraw>');
    detach();
    logger.warn('alone');
    expect(withoutTime(text())).toBe('WARNING: alone\n');
  });
});
