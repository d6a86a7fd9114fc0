import type { Command } from 'commander';
import type { ConfigRequest } from '../config/load.js';
import { createCommand, parseArguments } from './command.js';
import * as shared from './options.js';

/** The report command's arguments. */
export interface ReportArguments {
  /** For `loadConfig`. */
  config: ConfigRequest;
  output?: string;
  maps_dir?: string;
  verbose: boolean;
}

const CONFIG_OPTIONS: readonly shared.ConfigOption[] = [
  { flags: '--work_dir <folder>', key: 'work_dir.dir', reads: 'text', help: 'where the run lies' },
];

const EXAMPLES = [
  ['the report of a run', 'node dist/report.js --dataset lasc'],
  ['of another run, by its own configuration', 'node dist/report.js --config work_dir_lasc/config.yaml'],
] as const;

export function reportCommand(): Command {
  const command = createCommand(
    'node dist/report.js',
    'Write report.html: scores with intervals, curves, and cases with their maps, in one file without network.',
    EXAMPLES,
  );
  return shared
    .addConfigOptions(command, CONFIG_OPTIONS)
    .option('--output <file>', 'where to write it (default: {work_dir}/report.html)')
    .option('--maps_dir <folder>', 'heatmaps to show (default: {work_dir}/attention_maps)');
}

interface ParsedOptions extends shared.ConfigSelection, Partial<Omit<ReportArguments, 'config'>> {}

/** @throws {UsageError | CommanderError} for arguments that cannot be right; `runMain` words both. */
export function readReportArguments(argv: readonly string[]): ReportArguments {
  const options = parseArguments<ParsedOptions>(reportCommand(), argv);
  const { output, maps_dir, verbose = false } = options;
  return { config: shared.configRequest(options, CONFIG_OPTIONS), output, maps_dir, verbose };
}
