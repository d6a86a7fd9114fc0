/** From the explicit values to a complete configuration, or to the list of all that is wrong with them. */
import type { z } from 'zod';
import { CROSS_CHECKS } from './checks.js';
import { DERIVED_DEFAULTS, inferDatasetName } from './dataset-defaults.js';
import { expected } from './errors.js';
import { orList } from './fields.js';
import { fieldAt } from './keys.js';
import type { Layers } from './layers.js';
import type { Problem } from './problems.js';
import { type Config, configSchema } from './schema.js';
import { closest } from './suggest.js';

type Issue = z.core.$ZodIssue;

export interface DatasetNames {
  /** Looked for in root_dir where dataset.name is absent. */
  inferable: readonly string[];
  /** When given, a name outside of it is a fault. */
  known?: readonly string[];
}

/** Names the dataset from root_dir where nobody did, as the original does. Returns what to tell the user. */
export function nameDataset(layers: Layers, { inferable, known }: DatasetNames): string | undefined {
  const note = layers.get('dataset.name') === undefined ? inferName(layers, inferable) : undefined;
  const name = layers.get('dataset.name');
  if (typeof name === 'string' && known !== undefined && !known.includes(name)) {
    const near = closest(name, known);
    const hint = near === undefined ? OWN_DATASET : `. Did you mean '${near}'?`;
    // An inferred name has no place of its own: the path that it was taken from has.
    const origin = layers.place(note === undefined ? 'dataset.name' : 'dataset.root_dir');
    layers.problems.push({ origin, text: `${expected(orList(known), 'dataset.name', name)}${hint}` });
  }
  return note;
}

const OWN_DATASET = '. A dataset of your own: --dataset ./FILE.js';

function inferName(layers: Layers, names: readonly string[]): string | undefined {
  const rootDir = layers.get('dataset.root_dir');
  if (typeof rootDir !== 'string') return undefined;
  const name = inferDatasetName(rootDir, names);
  if (name === undefined) {
    const what = `dataset.name, or a dataset.root_dir with one of ${names.join(', ')} in it,`;
    const text = `Expected ${what} but received only the root_dir '${rootDir}'`;
    layers.problems.push({ origin: layers.place('dataset.root_dir'), text });
    return undefined;
  }
  layers.set('dataset.name', name);
  return `dataset.name is not set: taken to be '${name}' from dataset.root_dir '${rootDir}'`;
}

/** Fills the defaults that other keys decide, where those keys are sound. */
export function deriveDefaults(layers: Layers): void {
  for (const { key, from, compute } of DERIVED_DEFAULTS) {
    if (layers.get(key) !== undefined) continue;
    const values = soundValues(layers, from);
    if (values !== undefined) layers.set(key, compute(...(values as never[])));
  }
}

/** The configuration, or undefined after its faults were added to `layers.problems`. */
export function validate(layers: Layers): Config | undefined {
  const parsed = configSchema.safeParse(layers.values);
  if (!parsed.success) addIssues(layers, parsed.error.issues);
  for (const { keys, fault } of CROSS_CHECKS) {
    const values = soundValues(layers, keys);
    const text = values && fault(...(values as never[]));
    if (text !== undefined) layers.problems.push({ origin: culprit(layers, keys), text });
  }
  return parsed.success && layers.problems.length === 0 ? parsed.data : undefined;
}

/** The values of keys, with their defaults, or undefined when one is faulty or missing. */
function soundValues(layers: Layers, keys: readonly string[]): unknown[] | undefined {
  const results = keys.map((key) => fieldAt(key)!.safeParse(layers.get(key)));
  return results.every((r) => r.success) ? results.map((r) => r.data) : undefined;
}

// The first key that somebody gave: with `--set train.max_iters=20` the flag is at fault, not the file's cam_iters.
function culprit(layers: Layers, keys: readonly string[]) {
  const flagged = keys.map((key) => layers.origin(key)).find((origin) => origin?.label.startsWith('--'));
  return flagged ?? layers.place(keys.find((key) => layers.origin(key) !== undefined) ?? keys[0]!);
}

function addIssues(layers: Layers, issues: readonly Issue[]): void {
  const seen = new Set<string>();
  const derived = new Set(DERIVED_DEFAULTS.map(({ key }) => key).concat('dataset.name'));
  for (const { path, message } of issues) {
    const key = path.join('.');
    const received = layers.get(key);
    // What is missing because of a fault that is reported anyway is no second fault.
    const explained = derived.has(key) || layers.isMisspelt(key) || layers.unreadable;
    if (seen.has(key) || (received === undefined && explained)) continue;
    seen.add(key);
    layers.problems.push(problem(layers, path.map(String), message));
  }
}

function problem(layers: Layers, path: string[], what: string): Problem {
  const key = path.join('.');
  const received = layers.get(key);
  const shown = path.map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`)).join('');
  const remedy = received === undefined ? `. Add it to the section '${path.slice(0, -1).join('.')}'` : '';
  return { origin: layers.place(key), text: `${expected(what, shown.slice(1), received)}${remedy}` };
}
