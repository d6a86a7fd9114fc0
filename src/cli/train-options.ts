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

/** The training command's arguments, checked, apart from the configuration's own values. */
export interface TrainArguments extends TeamArguments, ComputeArguments {
  /** For `loadConfig`. */
  config: ConfigRequest;
  /** A checkpoint, or true for `last.pth` of the work directory. */
  resume?: string | true;
  verbose: boolean;
}

export const TRAIN_CONFIG_OPTIONS: readonly shared.ConfigOption[] = [
  {
    flags: '--pooling <gmp|gap>',
    key: 'backbone.pooling',
    reads: 'text',
    help: 'pooling before the classifier',
  },
  {
    flags: '--crop_size <pixels>',
    key: 'dataset.crop_size',
    reads: 'number',
    help: 'side of the training crop',
  },
  {
    flags: '--accumulate <n>',
    key: 'train.accumulate',
    reads: 'number',
    help: 'batches that make one iteration: larger batches in the same memory',
  },
  { flags: '--work_dir <folder>', key: 'work_dir.dir', reads: 'text', help: 'where all output goes' },
  { flags: '--radius <cells>', key: 'train.radius', reads: 'number', help: 'reach of an affinity pair' },
  {
    flags: '--seg_detach',
    key: 'train.seg_detach',
    reads: 'switch',
    help: 'keep seg loss out of the encoder',
  },
  { flags: '--high_thre <score>', key: 'cam.high_thre', reads: 'number', help: 'sure foreground lies above' },
  { flags: '--low_thre <score>', key: 'cam.low_thre', reads: 'number', help: 'sure background lies below' },
  shared.AMP_OPTION,
  shared.DETERMINISTIC_OPTION,
  { flags: '--seed <n>', key: 'train.seed', reads: 'number', help: 'seed of every random draw' },
];

const EXAMPLES = [
  ['LASC on the best device there is', 'node dist/train.js --dataset lasc'],
  ['a laptop, with smaller crops', 'node dist/train.js --dataset lasc --cpu --crop_size 224'],
  [
    'your own configuration, one key changed',
    'node dist/train.js --config my.yaml --set train.max_iters=20000',
  ],
  ['on four GPUs of this machine', 'node dist/train.js --dataset lasc --cuda --nproc_per_node 4'],
  ['where the time goes', 'node dist/train.js --dataset lasc --profile trace.json'],
  ['go on after Ctrl-C', 'node dist/train.js --dataset lasc --resume'],
] as const;

export function trainCommand(): Command {
  const command = createCommand(
    'node dist/train.js',
    'Train on image-level labels, validate, and export attention maps from the best checkpoint.',
    EXAMPLES,
  );
  shared
    .addConfigOptions(command, TRAIN_CONFIG_OPTIONS)
    .option('--resume [checkpoint]', 'go on from a checkpoint (default: last.pth of the work directory)');
  return addTeamOptions(addComputeOptions(command));
}

interface ParsedOptions extends shared.ConfigSelection, TeamArguments, ParsedCompute {
  resume?: string | true;
  verbose?: true;
}

/** @throws {UsageError | CommanderError} for arguments that cannot be right; `runMain` words both. */
export function readTrainArguments(argv: readonly string[]): TrainArguments {
  const options = parseArguments<ParsedOptions>(trainCommand(), argv);
  const { resume, verbose = false } = options;
  const config = shared.configRequest(options, TRAIN_CONFIG_OPTIONS);
  return { config, ...teamArguments(options), ...computeArguments(options), resume, verbose };
}
