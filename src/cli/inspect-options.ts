import type { Command } from 'commander';
import type { ConfigRequest } from '../config/load.js';
import { createCommand, parseArguments } from './command.js';
import * as shared from './options.js';

/** The inspection command's arguments. */
export interface InspectArguments {
  /** For `loadConfig`. */
  config: ConfigRequest;
  json: boolean;
  verbose: boolean;
}

const EXAMPLES = [
  ['what training would see', 'node dist/inspect.js --dataset lasc'],
  ['another split of the same slices', 'node dist/inspect.js --dataset lasc --set dataset.split.by=patient'],
  ['for a script', 'node dist/inspect.js --config my.yaml --json > dataset.json'],
] as const;

export function inspectCommand(): Command {
  const command = createCommand(
    'node dist/inspect.js',
    'Read a whole dataset and say what is in it, what is wrong with it, and what a configuration will do with it.',
    EXAMPLES,
  );
  return shared.addConfigOptions(command, []).addOption(shared.jsonOption());
}

interface ParsedOptions extends shared.ConfigSelection {
  json?: true;
  verbose?: true;
}

/** @throws {UsageError | CommanderError} for arguments that cannot be right; `runMain` words both. */
export function readInspectArguments(argv: readonly string[]): InspectArguments {
  const options = parseArguments<ParsedOptions>(inspectCommand(), argv);
  const { json = false, verbose = false } = options;
  return { config: shared.configRequest(options, []), json, verbose };
}
