import type { Command } from 'commander';
import type { ConfigRequest } from '../config/load.js';
import { createCommand, parseArguments } from './command.js';
import {
  addDeviceOptions,
  addThreadsOption,
  type DeviceArguments,
  deviceArgument,
} from './compute-options.js';
import * as shared from './options.js';

/** The report command's arguments. */
export interface ReportArguments {
  /** For `loadConfig`. */
  config: ConfigRequest;
  output?: string;
  maps_dir?: string;
  /** Another split than the validation's. */
  split?: string;
  device?: shared.DeviceName;
  /** Absent: libtorch decides. */
  threads?: number;
  verbose: boolean;
}

const CONFIG_OPTIONS: readonly shared.ConfigOption[] = [
  { flags: '--work_dir <folder>', key: 'work_dir.dir', reads: 'text', help: 'where the run lies' },
];

const EXAMPLES = [
  ['the report of a run', 'node dist/report.js --dataset lasc'],
  [
    'held-out data, at the thresholds that validation chose',
    'node dist/report.js --dataset lasc --split test',
  ],
  ['of another run, by its own configuration', 'node dist/report.js --config work_dir_lasc/config.yaml'],
] as const;

export function reportCommand(): Command {
  const command = createCommand(
    'node dist/report.js',
    'Write report.html: scores with intervals, curves, and cases with their maps, in one file without network.',
    EXAMPLES,
  );
  shared
    .addConfigOptions(command, CONFIG_OPTIONS)
    .option(
      '--split <name>',
      'score this split first, with best.pth (default: the validation, as it was scored)',
    )
    .option(
      '--output <file>',
      'where to write it (default: report.html in the work directory, or in its folder of the split)',
    )
    .option('--maps_dir <folder>', 'heatmaps to show (default: those of the run or split)');
  return addThreadsOption(addDeviceOptions(command, 'with --split, the best there is'));
}

interface ParsedOptions
  extends shared.ConfigSelection,
    DeviceArguments,
    Partial<Omit<ReportArguments, 'config' | 'device'>> {}

/** @throws {UsageError | CommanderError} for arguments that cannot be right; `runMain` words both. */
export function readReportArguments(argv: readonly string[]): ReportArguments {
  const options = parseArguments<ParsedOptions>(reportCommand(), argv);
  const { output, maps_dir, split, threads, verbose = false } = options;
  const config = shared.configRequest(options, CONFIG_OPTIONS);
  return { config, output, maps_dir, split, device: deviceArgument(options), threads, verbose };
}
