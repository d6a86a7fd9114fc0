/** Options that several commands share, and the readers of their values. */
import { type Command, Option } from 'commander';
import { expected, UsageError } from '../config/errors.js';
import { orList } from '../config/fields.js';
import type { FlagSetting } from '../config/layers.js';
import type { ConfigRequest } from '../config/load.js';

/** An option that sets one configuration key; the schema, not the parser, judges its value. */
export interface ConfigOption {
  /** Commander's form: "--crop_size <pixels>". */
  flags: string;
  key: string;
  reads: 'text' | 'number' | 'numbers' | 'switch';
  help: string;
}

/** Of every command that runs the network. */
export const AMP_OPTION: ConfigOption = {
  flags: '--amp <none|bf16>',
  key: 'train.amp',
  reads: 'text',
  help: 'bf16: products in bfloat16, about twice as fast on a GPU',
};

/** Of every command that trains, or makes results from what was trained. */
export const DETERMINISTIC_OPTION: ConfigOption = {
  flags: '--deterministic',
  key: 'train.deterministic',
  reads: 'switch',
  help: 'only operations that give the same bits each time; refuse others',
};

/** Of commands that use what was trained: where it lies, and what a checkpoint does not tell. */
export const AS_TRAINED: readonly ConfigOption[] = [
  { flags: '--pooling <gmp|gap>', key: 'backbone.pooling', reads: 'text', help: 'as it was trained' },
  { flags: '--work_dir <folder>', key: 'work_dir.dir', reads: 'text', help: 'where the checkpoints lie' },
];

/** `--split`, of commands that take any. */
export const SPLIT_OPTION: ConfigOption = {
  flags: '--split <name>',
  key: 'val.split',
  reads: 'text',
  help: 'which images',
};

export const checkpointOption = (): Option =>
  new Option('--checkpoint <file>', 'weights (default: best.pth of the work directory)');

export const jsonOption = (): Option =>
  new Option('--json', 'one JSON document on standard output, nothing else');

/** The options that choose and change a configuration. */
export interface ConfigSelection {
  config?: string;
  dataset?: string;
  set?: string[];
}

export function addConfigOptions(command: Command, table: readonly ConfigOption[]): Command {
  command
    .option('--config <file>', 'YAML configuration')
    .option(
      '--dataset <name>',
      'read configs/{name}_attn_reg.yaml; with --config: name the dataset. A module of your own: ./my-dataset.js',
    )
    .option(
      '--set <key=value>',
      'set any configuration key, e.g. train.log_iters=50; may be repeated',
      append,
    );
  for (const { flags, key, help } of table) command.option(flags, `${help} (${key})`);
  return command;
}

/** What `loadConfig` needs. Options that were not given are absent, so that they overwrite nothing. */
export function configRequest(options: ConfigSelection, table: readonly ConfigOption[]): ConfigRequest {
  const { config, dataset, set } = options;
  const flags = table.flatMap((option) => setting(option, options as Record<string, unknown>));
  return { file: config, dataset, set, flags };
}

function setting({ flags, key, reads }: ConfigOption, options: Record<string, unknown>): FlagSetting[] {
  const flag = flags.split(' ')[0]!;
  const value = options[flag.slice(2)];
  if (value === undefined) return [];
  if (reads === 'number') return [{ key, flag, value: numberOrText(value as string) }];
  if (reads === 'numbers') return [{ key, flag, value: (value as string[]).map(numberOrText) }];
  return [{ key, flag, value }];
}

// Text that is no number goes on as it is: the schema reports it beside all other faults.
function numberOrText(text: string): number | string {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  return Number.isNaN(value) ? text : value;
}

const append = (value: string, previous: string[] = []): string[] => [...previous, value];

/** An option whose value must be one of `names`. */
export function choiceOption(flags: string, help: string, names: readonly string[]): Option {
  return new Option(flags, help).argParser((value: string) => {
    if (names.includes(value)) return value;
    throw new UsageError(`${expected(orList(names), flags.split(' ')[0]!, value)}.`);
  });
}

/** An option whose value must be an integer in [min, max]. */
export function integerOption(flags: string, help: string, min: number, max: number): Option {
  return new Option(flags, help).argParser((text: string) => {
    const value = numberOrText(text);
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw new UsageError(`${expected(`an integer from ${min} to ${max}`, flags.split(' ')[0]!, text)}.`);
  });
}

/** Where to compute. */
export const DEVICES = ['cpu', 'cuda', 'mps'] as const;
export type DeviceName = (typeof DEVICES)[number];
