import type { Command } from 'commander';
import { UsageError } from '../config/errors.js';
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

/** The export command's arguments; absent folders and checkpoints default to the work directory's. */
export interface GenAttnArguments extends TeamArguments, ComputeArguments {
  /** For `loadConfig`. */
  config: ConfigRequest;
  checkpoint?: string;
  /** The checkpoint of the highest iteration instead of the best one. */
  use_final: boolean;
  output_dir?: string;
  cam_npy_dir?: string;
  save_attn: boolean;
  attn_npy_dir?: string;
  overwrite: boolean;
  verbose: boolean;
}

export const GEN_ATTN_CONFIG_OPTIONS: readonly shared.ConfigOption[] = [
  { flags: '--scales <factors...>', key: 'cam.scales', reads: 'numbers', help: 'input scales of the CAM' },
  shared.SPLIT_OPTION,
  { flags: '--batch_size <n>', key: 'val.batch_size', reads: 'number', help: 'images in one pass' },
  shared.AMP_OPTION,
  shared.DETERMINISTIC_OPTION,
  ...shared.AS_TRAINED,
];

const EXAMPLES = [
  ['maps of the best checkpoint', 'npm run gen-attn -- --config configs/lasc_attn_reg.yaml'],
  ['another checkpoint, one scale', 'npm run gen-attn -- --dataset lasc --checkpoint my.pth --scales 1.0'],
  ['raw transformer attention as well', 'npm run gen-attn -- --dataset lasc --use_final --save_attn'],
] as const;

export function genAttnCommand(): Command {
  const command = createCommand(
    'npm run gen-attn --',
    'Export attention maps: heatmaps over the images as PNG, CAMs and scores as npy.',
    EXAMPLES,
  );
  shared
    .addConfigOptions(command, GEN_ATTN_CONFIG_OPTIONS)
    .addOption(shared.checkpointOption().conflicts('use_final'))
    .option('--use_final', 'the last iteration instead of the best')
    .option('--output_dir <folder>', 'heatmaps (default: {work_dir}/attention_maps)')
    .option('--cam_npy_dir <folder>', 'CAM arrays and scores (default: {work_dir}/cam_npy)')
    .option('--save_attn', 'save raw attention maps too')
    .option('--attn_npy_dir <folder>', 'where --save_attn puts them (default: {work_dir}/attn_npy)')
    .option('--overwrite', 'replace maps that are there already');
  return addTeamOptions(addComputeOptions(command));
}

interface ParsedOptions
  extends shared.ConfigSelection,
    TeamArguments,
    ParsedCompute,
    Partial<Omit<GenAttnArguments, 'config' | keyof TeamArguments | keyof ComputeArguments>> {}

/** @throws {UsageError | CommanderError} for arguments that cannot be right; `runMain` words both. */
export function readGenAttnArguments(argv: readonly string[]): GenAttnArguments {
  const options = parseArguments<ParsedOptions>(genAttnCommand(), argv);
  const { checkpoint, output_dir, cam_npy_dir, attn_npy_dir } = options;
  const { use_final = false, save_attn = false, overwrite = false, verbose = false } = options;
  if (attn_npy_dir !== undefined && !save_attn) {
    throw new UsageError('Expected --save_attn beside --attn_npy_dir but did not receive it.');
  }
  const config = shared.configRequest(options, GEN_ATTN_CONFIG_OPTIONS);
  return {
    config,
    ...teamArguments(options),
    ...computeArguments(options),
    checkpoint,
    use_final,
    output_dir,
    cam_npy_dir,
    save_attn,
    attn_npy_dir,
    overwrite,
    verbose,
  };
}
