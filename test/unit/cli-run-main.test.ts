import { afterEach, describe, expect, it, vi } from 'vitest';
import { describeFailure, runMain } from '../../src/cli/run-main.js';
import { UsageError } from '../../src/config/errors.js';

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** Runs a main function and notes what the process would have printed and ended with. */
async function outcome(main: () => Promise<unknown>) {
  let printed = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  const exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as never);
  await runMain(main);
  return { printed, exited: exit.mock.calls.map(([code]) => code), exitCode: process.exitCode };
}

describe('runMain', () => {
  it('prints nothing and lets the process end by itself on success', async () => {
    expect(await outcome(async () => 'done')).toEqual({ printed: '', exited: [], exitCode: undefined });
  });

  it('takes a returned number as exit code', async () => {
    expect(await outcome(async () => 1)).toEqual({ printed: '', exited: [], exitCode: 1 });
  });

  it('ends with 2 on a usage fault', async () => {
    const { printed, exited } = await outcome(async () => {
      throw new UsageError('Expected a file but received nothing.');
    });
    expect(printed).toBe('Error: Expected a file but received nothing.\n');
    expect(exited).toEqual([2]);
  });

  it('ends with 1 on any other error', async () => {
    const { printed, exited } = await outcome(() => Promise.reject(new TypeError('out of luck')));
    expect(printed).toBe('Error: out of luck\n(--verbose shows where it happened)\n');
    expect(exited).toEqual([1]);
  });
});

describe('describeFailure', () => {
  it('shows the stack and the cause only when asked', () => {
    const error = new Error('outer', { cause: new Error('inner') });
    expect(describeFailure(error, false).text).not.toMatch(/inner|\n\s+at /);
    expect(describeFailure(error, true).text).toMatch(/outer[\s\S]*\n\s+at [\s\S]*inner/);
  });

  it.each([
    ['text', 'text'],
    [undefined, 'undefined'],
    [new Error(''), 'Error'],
  ])('words even %o', (thrown, text) => {
    expect(describeFailure(thrown, false)).toEqual({
      code: 1,
      text: `Error: ${text}\n(--verbose shows where it happened)`,
    });
  });
});
