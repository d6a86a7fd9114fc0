import { expected, UsageError } from '../config/errors.js';
import type { DatasetDefinition } from './dataset.js';

const definitions = new Map<string, DatasetDefinition>();

/**
 * Makes a dataset known under its name. A dataset's own file calls this when it is imported.
 * @throws UsageError when the name is taken: two datasets must not silently replace each other
 */
export function registerDataset(definition: DatasetDefinition): void {
  const present = definitions.get(definition.name);
  if (present) {
    throw new UsageError(
      `Expected a new name for dataset '${definition.title}' but received '${definition.name}', which is taken by ` +
        `'${present.title}'. Choose another name.`,
    );
  }
  definitions.set(definition.name, definition);
}

/** Names of all registered datasets, in order of registration. */
export const datasetNames = (): string[] => [...definitions.keys()];

/** @throws UsageError that lists what there is when `name` is unknown */
export function getDataset(name: string): DatasetDefinition {
  const definition = definitions.get(name);
  if (!definition) {
    const known = [...definitions.values()].map((d) => `${d.name} (${d.title})`).join(', ');
    throw new UsageError(`${expected('a known dataset name', 'dataset.name', name)}. There are: ${known}.`);
  }
  return definition;
}
