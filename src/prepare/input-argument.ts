import { expected, UsageError } from '../config/errors.js';

/**
 * The input of a command, which may be given as `--input` or as its first argument.
 * @throws UsageError when both or neither are given
 */
export function theInput(flag: string | undefined, argument: string | undefined, what: string): string {
  if (flag !== undefined && argument !== undefined) {
    throw new UsageError(`Expected one input but received both --input ${flag} and ${argument}.`);
  }
  const input = flag ?? argument;
  if (input === undefined) throw new UsageError(`${expected(what, '--input', undefined)}.`);
  return input;
}
