import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ORIGINAL_DATASETS } from './dataset-defaults.js';
import { expected, UsageError } from './errors.js';
import { leafKeys } from './keys.js';
import { type FlagSetting, Layers } from './layers.js';
import { originText, problemsError } from './problems.js';
import type { Config } from './schema.js';
import { closest } from './suggest.js';
import { deriveDefaults, nameDataset, validate } from './validate.js';

export interface ConfigRequest {
  /** A YAML file. Without it, `dataset` finds `configs/{dataset}_attn_reg.yaml`, here or in the package. */
  file?: string;
  /** Beside `file`: names the dataset, over what the file says. */
  dataset?: string;
  /** Explicit flags; an absent flag must be absent here too, so that it cannot overwrite the file. */
  flags?: readonly FlagSetting[];
  /** `key=value` assignments, values in YAML. */
  set?: readonly string[];
  /** The registered datasets: other names are refused. Absent: any name is taken. */
  datasets?: readonly string[];
}

export interface LoadedConfig {
  config: Config;
  file: string;
  /** Sentences to tell the user: what was chosen for them. */
  notes: string[];
  /** Where each leaf's value comes from: "FILE:LINE", a flag, or "default". */
  sources: Record<string, string>;
}

/**
 * Loads a configuration: explicit flag > YAML > default.
 * @throws {UsageError} naming every fault at once, each with its file and line or its flag.
 */
export function loadConfig(request: ConfigRequest): LoadedConfig {
  const notes: string[] = [];
  const file = request.file ?? configOfDataset(request);
  if (request.file === undefined) notes.push(`Reading ${file}`);

  const layers = new Layers();
  layers.addFile(file, readText(file));
  for (const flag of request.flags ?? []) layers.addFlag(flag);
  // A file found by its dataset's name may itself say that it holds another's form (the demo: lasc).
  const named = request.file === undefined && layers.get('dataset.name') !== undefined;
  if (request.dataset !== undefined && !named) {
    layers.addFlag({ key: 'dataset.name', flag: '--dataset', value: request.dataset });
  }
  for (const assignment of request.set ?? []) layers.addAssignment(assignment);

  const inferable = [...new Set([...ORIGINAL_DATASETS, ...(request.datasets ?? [])])];
  const note = nameDataset(layers, { inferable, known: request.datasets });
  if (note !== undefined) notes.push(note);
  deriveDefaults(layers);
  const config = validate(layers);
  if (config === undefined) throw problemsError(layers.problems);
  return { config: deepFreeze(config), file, notes, sources: sourcesOf(layers) };
}

function sourcesOf(layers: Layers): Record<string, string> {
  const source = (key: string): string => {
    const origin = layers.origin(key);
    return origin === undefined ? 'default' : originText(origin);
  };
  const sources = Object.fromEntries(leafKeys().map((key) => [key, source(key)]));
  if (sources['dataset.name'] === 'default') sources['dataset.name'] = 'from dataset.root_dir';
  return sources;
}

/** A dataset's configuration is called {name} and this. */
export const CONFIG_SUFFIX = '_attn_reg.yaml';

// One level above both src/config and dist/config lies the package.
const PACKAGE_CONFIGS = fileURLToPath(new URL('../../configs', import.meta.url));

function configOfDataset({ dataset }: ConfigRequest): string {
  if (dataset === undefined) {
    throw new UsageError('Expected --config FILE or --dataset NAME but received neither.');
  }
  const folders = ['configs', PACKAGE_CONFIGS];
  const candidates = folders.map((folder) => path.join(folder, `${dataset}${CONFIG_SUFFIX}`));
  const found = candidates.find((file) => existsSync(file));
  if (found !== undefined && path.basename(dataset) === dataset) return found;
  const names = [...new Set(folders.flatMap(datasetsWithConfig))].sort();
  const near = closest(dataset, names);
  throw new UsageError(
    `${expected(`a dataset with a configuration (${names.join(', ')})`, '--dataset', dataset)}. ` +
      (near === undefined
        ? `Write configs/${dataset}${CONFIG_SUFFIX}, or name a file with --config.`
        : `Did you mean '${near}'?`),
  );
}

function datasetsWithConfig(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(CONFIG_SUFFIX))
    .map((name) => name.slice(0, -CONFIG_SUFFIX.length));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    const why = { ENOENT: 'there is no such file', EISDIR: 'it is a folder', EACCES: 'it may not be read' }[
      reason ?? ''
    ];
    throw new UsageError(
      `Expected a YAML file for --config but cannot read '${file}': ${why ?? String(error)}.`,
      {
        cause: error,
      },
    );
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}
