import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { CONFIG_SUFFIX, type ConfigRequest, type LoadedConfig, loadConfig } from '../config/load.js';
import { isModulePath, loadDatasetModule } from '../datasets/plug-in.js';
import { datasetNames } from '../datasets/registry.js';

/**
 * Loads the configuration of a command with all datasets known, also that of a module (`--dataset ./mine.js`): its
 * YAML is --config, else {name}_attn_reg.yaml beside the module or in configs/ there.
 * @throws UsageError for what is wrong with module or configuration
 */
export async function loadCommandConfig(request: ConfigRequest): Promise<LoadedConfig> {
  const { dataset, file } = request;
  if (dataset === undefined || !isModulePath(dataset)) {
    return loadConfig({ ...request, datasets: datasetNames() });
  }
  const name = await loadDatasetModule(dataset);
  const found = file ?? configBeside(dataset, name);
  const loaded = loadConfig({ ...request, file: found, dataset: name, datasets: datasetNames() });
  const notes = [
    `Dataset '${name}' is that of ${dataset}`,
    ...(file === undefined ? [`Reading ${found}`] : []),
  ];
  return { ...loaded, notes: [...notes, ...loaded.notes] };
}

function configBeside(module: string, name: string): string {
  const folder = dirname(module);
  const yaml = `${name}${CONFIG_SUFFIX}`;
  const candidates = [join(folder, yaml), join(folder, 'configs', yaml)];
  const found = candidates.find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new UsageError(
    `Expected a configuration for ${basename(module)} but there is neither --config nor ${candidates.join(' nor ')}. ` +
      'Copy configs/lasc_attn_reg.yaml of this package there, and set dataset.root_dir in it.',
  );
}
