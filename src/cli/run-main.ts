import { inspect } from 'node:util';
import { CommanderError } from 'commander';

/** Exit codes of every command. */
export const EXIT = { success: 0, failure: 1, usage: 2 } as const;

/** What a command leaves behind when it throws: its exit code and what to print, if anything. */
export interface Failure {
  code: number;
  text: string;
}

const farewells: ((fault: string) => void)[] = [];

/** Calls `tell` with the first line of the error that a command ends by, before its process does. */
export function beforeFailing(tell: (fault: string) => void): void {
  farewells.push(tell);
}

/** Words an error and ends the process at once: a failed run must not hang on its workers. */
function fail(error: unknown): never {
  const { code, text } = describeFailure(error, process.argv.includes('--verbose'));
  if (text !== '') process.stderr.write(`${text}\n`);
  for (const tell of farewells) tell(firstLine(error));
  process.exit(code);
}

/** Until runMain() is called: words what goes wrong while a command's modules load, as when the addon does not fit. */
export function wordLoadFaults(): void {
  process.once('uncaughtException', fail);
}

/**
 * Runs a command's main function. A number that it returns becomes the exit code. An error is printed as
 * one paragraph, with its stack only under --verbose.
 */
export async function runMain(main: () => Promise<unknown>): Promise<void> {
  process.off('uncaughtException', fail);
  try {
    const code = await main();
    if (typeof code === 'number') process.exitCode = code;
  } catch (error) {
    fail(error);
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error && error.message) || String(error);
const firstLine = (error: unknown): string => wordsOf(error).split('\n', 1)[0]!;

/** Words an error for people. Help and version, which commander throws too, are no failure and have no text. */
export function describeFailure(error: unknown, verbose: boolean): Failure {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { code: EXIT.success, text: '' };
    return { code: EXIT.usage, text: `Error: ${usageSentence(error.message)} See --help.` };
  }
  const code = exitCodeOf(error);
  if (verbose) return { code, text: inspect(error) };
  const more = code === EXIT.usage ? '' : '\n(--verbose shows where it happened)';
  return { code, text: `Error: ${wordsOf(error)}${more}` };
}

// UsageError and its kin carry their exit code.
function exitCodeOf(error: unknown): number {
  const code = (error as { exitCode?: unknown } | null | undefined)?.exitCode;
  return typeof code === 'number' ? code : EXIT.failure;
}

// "error: unknown option '--x'\n(Did you mean --y?)" becomes two sentences on one line.
function usageSentence(message: string): string {
  const plain = message.replace(/^error: /, '').replace(/\n\((.*)\)$/, '. $1');
  const sentence = plain.charAt(0).toUpperCase() + plain.slice(1);
  return /[.?]$/.test(sentence) ? sentence : `${sentence}.`;
}
