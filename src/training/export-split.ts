import { resolve } from 'node:path';
import { UsageError } from '../config/errors.js';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import { getDataset } from '../datasets/registry.js';
import { Team } from '../distributed/index.js';
import { type ExportOptions, type ExportResult, exportAttentionMaps } from '../export/attention-maps.js';
import { FinishedMaps, type MapFolders } from '../export/finished-maps.js';
import { createEvalLoader, type EvalLoader } from '../loading/loader.js';
import type { Device } from '../tensor/index.js';
import { loadWeights } from './checkpoints.js';
import { mapFingerprint } from './fingerprint.js';
import { Interrupt } from './interrupt.js';
import type { Logger } from './logging.js';
import { createProgress, type ProgressReporter } from './progress.js';
import { buildModel } from './setup.js';
import { makeWritable } from './work-dir.js';

export interface ExportSplitOptions {
  device: Device;
  log: Logger;
  /** Weights: a plain state dict. */
  checkpoint: string;
  outputDir?: string;
  camNpyDir?: string;
  /** Absent: no raw attention. */
  attnNpyDir?: string;
  onMap?: ExportOptions['onMap'];
  /** The processes that share the images, each writing the maps of its own. Default: this one alone. */
  team?: Team;
  /** Do again what an earlier run with the same weights and scales has done. */
  overwrite: boolean;
}

export interface ExportedSplit extends ExportResult {
  outputDir: string;
  camNpyDir: string;
}

/** @throws UsageError when arrays would replace the slices, their masks or each other: all have the same names */
function refuseSharedFolders({ dataset }: Config, { camNpyDir, attnNpyDir }: MapFolders): void {
  const taken = new Map([
    [resolve(dataset.root_dir), 'dataset.root_dir'],
    [resolve(dataset.masks_dir), 'dataset.masks_dir'],
  ]);
  const claim = (flag: string, folder: string, what: string) => {
    const owner = taken.get(resolve(folder));
    if (owner)
      throw new UsageError(
        `Expected a folder of its own for ${flag} but received ${folder}, which holds ${owner}: ` +
          'files of the same names would be replaced. Choose another folder.',
      );
    taken.set(resolve(folder), what);
  };
  claim('--cam_npy_dir', camNpyDir, 'the CAM arrays');
  if (attnNpyDir) claim('--attn_npy_dir', attnNpyDir, 'raw attention');
}

/** The lead renews the record of what maps are made from before any other process compares its own with it. */
async function openMaps(
  folders: MapFolders,
  madeFrom: string,
  redo: boolean,
  team: Team,
): Promise<FinishedMaps> {
  if (!team.isLead) await team.meet();
  const finished = new FinishedMaps(folders, madeFrom, redo && team.isLead);
  if (team.isLead) await team.meet();
  return finished;
}

/** Exports attention maps of the validation split of a configuration, and says how far it is. */
export async function exportSplit(config: Config, options: ExportSplitOptions): Promise<ExportedSplit> {
  const { device, log, checkpoint, attnNpyDir, team = new Team() } = options;
  const paths = workDirPaths(config);
  const folders = {
    outputDir: options.outputDir ?? paths.attentionMaps,
    camNpyDir: options.camNpyDir ?? paths.camNpy,
    attnNpyDir,
  };
  refuseSharedFolders(config, folders);
  const model = buildModel(config, device);
  loadWeights(model, checkpoint);
  // Faults of the data show before anything is written; warnings come from the loader.
  const { split } = config.val;
  const opened = getDataset(config.dataset.name).open(config.dataset, split, () => {});
  let loader: EvalLoader | undefined;
  team.at('the export of maps');
  const interrupt = new Interrupt(team.isLead ? 'Stopping after this map' : '');
  let progress: ProgressReporter | undefined;
  try {
    makeWritable(folders.outputDir, options.outputDir && '--output_dir');
    makeWritable(folders.camNpyDir, options.camNpyDir && '--cam_npy_dir');
    if (attnNpyDir) makeWritable(attnNpyDir, '--attn_npy_dir');
    const finished = await openMaps(
      folders,
      await mapFingerprint(config, checkpoint),
      options.overwrite,
      team,
    );
    const index = new Map(opened.names.map((name, i) => [name, i]));
    loader = createEvalLoader(config, split, {
      opened,
      rank: team.rank,
      worldSize: team.size,
      // Neither read nor decoded: a second run over 60,000 finished slices takes seconds.
      skip: (name) => finished.has(name, opened.imagePath?.(index.get(name)!)),
      onWarning: (message) => log.warn('%s', message),
    });
    log.info(
      '%s',
      `Exporting attention maps of ${loader.length} images (split '${split}') from ${checkpoint}`,
    );
    const total = Math.ceil(loader.length / team.size);
    if (team.isLead) progress = createProgress({ label: 'Exporting maps', total, logger: log });
    const result = await exportAttentionMaps(model, loader, {
      ...folders,
      device,
      scales: config.cam.scales,
      finished,
      onMap: options.onMap,
      onProgress: (done) => progress?.update(done),
      stopWhen: () => interrupt.asked !== undefined,
    });
    const all = await team.gather(result);
    const sum = (key: 'written' | 'skipped') => all.reduce((count, one) => count + one[key], 0);
    const stopped = all.some((one) => one.stopped);
    return { written: sum('written'), skipped: sum('skipped'), stopped, ...folders };
  } finally {
    progress?.stop();
    interrupt.close();
    await loader?.close();
    model.dispose();
  }
}
