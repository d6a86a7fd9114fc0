/** What tests of the prepare command share: folders of their own, a silent standard error, and what a refusal says. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, vi } from 'vitest';
import { describeFailure } from '../../src/cli/run-main.js';
import { prepare } from '../../src/prepare/cli.js';

/** `folder` makes a new one in `work` at each call; all go when the test file ends. */
export function folders() {
  const work = mkdtempSync(join(tmpdir(), 'prepare-'));
  afterAll(() => rmSync(work, { recursive: true, force: true }));
  let count = 0;
  const folder = (): string => {
    const path = join(work, `${count++}`);
    mkdirSync(path);
    return path;
  };
  return { work, folder };
}

/** Keeps progress, which goes to the standard error, out of the test report; gives what was written there. */
export function silentProgress() {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  afterAll(() => stderr.mockRestore());
  return stderr;
}

/** What people read when the command refuses. */
export async function failure(argv: string[]): Promise<string> {
  try {
    await prepare(argv);
  } catch (error) {
    const { code, text } = describeFailure(error, false);
    expect(code).toBe(2);
    return text;
  }
  throw new Error('Expected a failure but the command succeeded.');
}
