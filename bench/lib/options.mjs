// The command line of a benchmark: what all have in common, and how values are read.
import { parseArgs } from 'node:util';

/** Reads a whole number of at least `min`. */
export const atLeast = (min) => (text, name) => {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= min) return value;
  throw new Error(`Expected an integer of ${min} or more for --${name} but received '${text}'`);
};

/** Reads one of `names`, or several separated by commas. */
export const listOf = (names) => (text, name) => {
  const chosen = text.split(',');
  const unknown = chosen.find((one) => !names.includes(one));
  if (unknown === undefined) return chosen;
  throw new Error(`Expected some of ${names.join(', ')} for --${name} but received '${unknown}'`);
};

const switchOption = { type: 'boolean', default: false };

/** Says what is wrong with a command line, and how it is written; ends the process with 2. */
export function refuse(message, help) {
  process.stderr.write(`Error: ${message}\n${help}\n`);
  process.exit(2);
}

/**
 * Reads the options of a benchmark, beside --json and --help; prints help where it is asked for.
 * @param subject its name, which may stand before the options
 * @param table for each option its default (text; undefined: absent) and how it is read
 */
export function readOptions(subject, help, table) {
  const args = process.argv.slice(process.argv[2] === subject ? 3 : 2);
  const own = Object.entries(table);
  const options = Object.fromEntries(
    own.map(([name, { value }]) => [name, { type: 'string', default: value }]),
  );
  try {
    const { values } = parseArgs({ args, options: { help: switchOption, json: switchOption, ...options } });
    if (values.help) {
      process.stdout.write(`${help}\n`);
      process.exit(0);
    }
    const read = ([name, { read }]) => [
      name,
      values[name] === undefined ? undefined : read(values[name], name),
    ];
    return { json: values.json, ...Object.fromEntries(own.map(read)) };
  } catch (error) {
    return refuse(error.message, help);
  }
}

/** Options that several benchmarks have. */
export const RUNS = (value = '5') => ({ value, read: atLeast(1) });
export const THREADS = (value) => ({ value, read: atLeast(1) });
