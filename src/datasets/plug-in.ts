/** Datasets of the user's own: a JavaScript module outside of the package, named on the command line. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describeValue, expected, UsageError } from '../config/errors.js';
import type { DatasetDefinition } from './dataset.js';
import { type MedicalDataset, registerMedicalDataset } from './medical-slices.js';
import { datasetNames, registerDataset } from './register.js';

/** What a module may export as its default: medical slices by their few facts, or a dataset with readers of its own. */
export type DatasetPlugIn = MedicalDataset | DatasetDefinition;

/** Modules that were loaded, by their URL, with the name of the dataset that each defines. */
const loaded = new Map<string, string | undefined>();

/** URLs of the modules that this thread has loaded. Threads that it starts have to load them as well. */
export const loadedModules = (): string[] => [...loaded.keys()];

/** Whether what stands after --dataset is a module and not a name. */
export const isModulePath = (dataset: string): boolean => /\.[cm]?js$/.test(dataset);

/**
 * Loads the module of a dataset and registers what it exports.
 * @param path relative to the working directory
 * @returns the dataset's name
 * @throws UsageError when there is no such file, it does not run, or it defines no dataset
 */
export async function loadDatasetModule(path: string): Promise<string> {
  const file = resolve(path);
  if (!existsSync(file))
    throw new UsageError(
      `Expected a module that defines a dataset for --dataset but there is no file ${path}.`,
    );
  const url = pathToFileURL(file).href;
  try {
    await importDatasetModule(url);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${path}: ${error.message}`, { cause: error });
    throw new UsageError(`Cannot load the dataset ${path}: ${describeFault(error, path)}`, { cause: error });
  }
  const name = loaded.get(url);
  if (name !== undefined) return name;
  loaded.delete(url);
  throw new UsageError(
    `Expected a dataset in ${path} but received a module without one. Let it \`export default { name, title, ` +
      'sliceSplit }` (see docs/adding-a-dataset.md). A call of registerMedicalDataset counts only when its ' +
      'medical-afa is the one that runs.',
  );
}

/** Loads a module once in this thread. @param url of its file */
export async function importDatasetModule(url: string): Promise<void> {
  if (loaded.has(url)) return;
  const before = new Set(datasetNames());
  const { default: definition } = (await import(url)) as { default?: unknown };
  if (definition !== undefined) register(definition);
  loaded.set(
    url,
    datasetNames().find((name) => !before.has(name)),
  );
}

function register(definition: unknown): void {
  const what = 'an object with name, title, and sliceSplit or open';
  if (typeof definition !== 'object' || definition === null)
    throw new UsageError(`${expected(what, 'the default export', definition)}.`);
  const { name, title, open, sliceSplit } = definition as Partial<MedicalDataset & DatasetDefinition>;
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name))
    throw new UsageError(`${expected('letters, digits, - and _', 'name', name)}.`);
  if (typeof title !== 'string') throw new UsageError(`${expected('a text for people', 'title', title)}.`);
  if (typeof open === 'function') registerDataset(definition as DatasetDefinition);
  else if (isSliceSplit(sliceSplit)) registerMedicalDataset(definition as MedicalDataset);
  else
    throw new UsageError(
      `Expected [val_start, train_start] as sliceSplit, or a function open, but received ${describeValue(sliceSplit)}.`,
    );
}

const isSliceSplit = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length === 2 &&
  value.every((n) => Number.isInteger(n) && n >= 0) &&
  value[0] < value[1];

/** Node's own message, and what to do about the usual ones. */
function describeFault(error: unknown, path: string): string {
  const { message = String(error), code } = error as NodeJS.ErrnoException;
  if (error instanceof SyntaxError) {
    const isModule = /\bexport\b|import statement/.test(message);
    const hint = isModule ? ' Name it .mjs, or put "type": "module" into the package.json beside it.' : '';
    return `${message} (\`node --check ${path}\` shows where).${hint}`;
  }
  if (code === 'ERR_MODULE_NOT_FOUND' && message.includes("'medical-afa'"))
    return (
      "it imports 'medical-afa', which its folder does not have. Export the definition as default instead, " +
      'which needs no import (see docs/adding-a-dataset.md), or install the package there.'
    );
  return message;
}
