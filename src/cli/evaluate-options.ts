import type { Command } from 'commander';
import type { ConfigRequest } from '../config/load.js';
import { createCommand, parseArguments } from './command.js';
import {
  addComputeOptions,
  type ComputeArguments,
  computeArguments,
  type ParsedCompute,
} from './compute-options.js';
import * as shared from './options.js';
import { addTeamOptions, type TeamArguments, teamArguments } from './team.js';

/** The evaluation command's arguments; absent folders and checkpoints default to the work directory's. */
export interface EvaluateArguments extends TeamArguments, ComputeArguments {
  /** For `loadConfig`. */
  config: ConfigRequest;
  checkpoint?: string;
  output_dir?: string;
  /** Predict again what is there already. */
  overwrite: boolean;
  /** One JSON document on standard output instead of the table. */
  json: boolean;
  verbose: boolean;
}

export const EVALUATE_CONFIG_OPTIONS: readonly shared.ConfigOption[] = [
  shared.SPLIT_OPTION,
  { flags: '--scales <factors...>', key: 'test.scales', reads: 'numbers', help: 'input scales' },
  { flags: '--flip', key: 'test.flip', reads: 'switch', help: 'mean with the mirrored image' },
  {
    flags: '--long_side <pixels>',
    key: 'test.long_side',
    reads: 'number',
    help: 'resize the longer side to this; 0: never',
  },
  { flags: '--crf', key: 'test.crf', reads: 'switch', help: 'refine predictions with a fully-connected CRF' },
  { flags: '--cam', key: 'test.cam', reads: 'switch', help: 'score class activation maps too' },
  shared.AMP_OPTION,
  shared.DETERMINISTIC_OPTION,
  { flags: '--batch_size <n>', key: 'val.batch_size', reads: 'number', help: 'images of one size in a pass' },
  ...shared.AS_TRAINED,
];

const EXAMPLES = [
  ['best.pth on the validation split', 'node dist/evaluate.js --dataset lasc'],
  ["as the original's VOC scores are made", 'node dist/evaluate.js --dataset voc --crf'],
  ['quick: one pass an image', 'node dist/evaluate.js --dataset voc --scales 1 --no-flip'],
  ['for a script', 'node dist/evaluate.js --config my.yaml --checkpoint my.pth --json'],
] as const;

export function evaluateCommand(): Command {
  const command = createCommand(
    'node dist/evaluate.js',
    'Predict a split over scales and mirror images, write label maps as PNG, and score them where there are masks.',
    EXAMPLES,
  );
  shared
    .addConfigOptions(command, EVALUATE_CONFIG_OPTIONS)
    .option('--no-flip', 'images as they are only')
    .addOption(shared.checkpointOption())
    .option('--output_dir <folder>', 'predictions, {name}.png (default: {work_dir}/predictions)')
    .option('--overwrite', 'predict again what is there already, from the same weights and settings')
    .addOption(shared.jsonOption());
  return addTeamOptions(addComputeOptions(command));
}

interface ParsedOptions
  extends shared.ConfigSelection,
    TeamArguments,
    ParsedCompute,
    Partial<Omit<EvaluateArguments, 'config' | keyof TeamArguments | keyof ComputeArguments>> {}

/** @throws {UsageError | CommanderError} for arguments that cannot be right; `runMain` words both. */
export function readEvaluateArguments(argv: readonly string[]): EvaluateArguments {
  const options = parseArguments<ParsedOptions>(evaluateCommand(), argv);
  const { checkpoint, output_dir } = options;
  const { overwrite = false, json = false, verbose = false } = options;
  const config = shared.configRequest(options, EVALUATE_CONFIG_OPTIONS);
  return {
    config,
    ...teamArguments(options),
    ...computeArguments(options),
    checkpoint,
    output_dir,
    overwrite,
    json,
    verbose,
  };
}
