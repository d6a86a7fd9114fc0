/** `prepare phantom`: arguments and run. */

import type { Command } from 'commander';
import { createCommand, parseArguments } from '../cli/command.js';
import { integerOption } from '../cli/options.js';
import { generatePhantom, PHANTOM_NUMBERS } from '../datasets/phantom.js';
import { summaryText } from './summary.js';

export const PHANTOM_EXAMPLES = [
  ['the data of the demo', 'node dist/prepare.js phantom --out data/phantom-lasc --seed 1'],
  ['a larger set', `node dist/prepare.js phantom --out data/phantom-large --patients 60 --size 192`],
] as const;

interface PhantomArguments {
  out: string;
  seed: number;
  patients: number;
  slices: number;
  size: number;
  overwrite?: boolean;
}

export function phantomCommand(): Command {
  return createCommand(
    'node dist/prepare.js phantom',
    'Draw a synthetic dataset: slices with or without a lesion, distractors, and masks. Same seed, same bytes.',
    PHANTOM_EXAMPLES,
  )
    .requiredOption('--out <folder>', 'where imageSlice/ and masks/ go')
    .addOption(numberOption('--seed <n>', 'seed of every draw', PHANTOM_NUMBERS.seed))
    .addOption(numberOption('--patients <n>', 'number of patients', PHANTOM_NUMBERS.patients))
    .addOption(numberOption('--slices <n>', 'slices of each patient', PHANTOM_NUMBERS.slices))
    .addOption(numberOption('--size <pixels>', 'height and width', PHANTOM_NUMBERS.size))
    .option('--overwrite', 'replace the slices that are there');
}

const numberOption = (
  flags: string,
  help: string,
  { least, most, unasked }: { least: number; most: number; unasked: number },
) => integerOption(flags, help, least, most).default(unasked);

/** Draws the dataset and returns what to say about it. */
export function runPhantom(argv: readonly string[]): string {
  const { out, ...options } = parseArguments<PhantomArguments>(phantomCommand(), argv);
  const { slices, size } = generatePhantom({ outDir: out, ...options });
  return summaryText({ outDir: out, dataset: 'demo', slices, hasMasks: true, longestSide: size });
}
