/** The prepare command: hands its arguments to one of its subcommands. */

import type { Command } from 'commander';
import { createCommand } from '../cli/command.js';
import { expected, UsageError } from '../config/errors.js';
import { orList } from '../config/fields.js';
import { COCO_EXAMPLES, cocoCommand, runCoco } from './coco-command.js';
import { NIFTI_EXAMPLES, niftiCommand, runNifti } from './nifti-command.js';
import { PHANTOM_EXAMPLES, phantomCommand, runPhantom } from './phantom-command.js';
import { runVoc, VOC_EXAMPLES, vocCommand } from './voc-command.js';

const START = 'node dist/prepare.js';

const SUBCOMMANDS: Readonly<Record<string, (argv: readonly string[]) => string | Promise<string>>> = {
  phantom: runPhantom,
  nifti: runNifti,
  voc: runVoc,
  coco: runCoco,
};

/** Lists the commands; each has a help of its own. */
function overview(): Command {
  const examples = [...PHANTOM_EXAMPLES.slice(0, 1), ...NIFTI_EXAMPLES, ...VOC_EXAMPLES, ...COCO_EXAMPLES];
  const command = createCommand(START, 'Make datasets in the form that training reads.', examples);
  for (const child of [phantomCommand(), niftiCommand(), vocCommand(), cocoCommand()]) {
    command.command(child.name().replace(`${START} `, '')).description(child.description());
  }
  return command.usage(`<${Object.keys(SUBCOMMANDS).join('|')}> [options]`).helpCommand(false);
}

/**
 * Runs `prepare` with the arguments after the script's name.
 * @returns what to print at the end
 * @throws UsageError (or commander's error, for its help) when there is nothing to run
 */
export async function prepare(argv: readonly string[]): Promise<string> {
  const [name, ...rest] = argv;
  const run = Object.hasOwn(SUBCOMMANDS, name ?? '') ? SUBCOMMANDS[name!] : undefined;
  if (run !== undefined) return await run(rest);
  // Flags before the command: help, or one that does not exist. Commander throws for either.
  if (name?.startsWith('-')) overview().parse([...argv], { from: 'user' });
  throw new UsageError(`${expected(orList(Object.keys(SUBCOMMANDS)), START, name)}. See ${START} --help.`);
}
