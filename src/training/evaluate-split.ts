import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { denseCrf } from '../cam/dense-crf.js';
import { UsageError } from '../config/errors.js';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import { getDataset } from '../datasets/registry.js';
import { Team } from '../distributed/index.js';
import { type Evaluation, evaluateImages } from '../evaluation/evaluate-images.js';
import { FinishedPredictions } from '../evaluation/finished-predictions.js';
import { mapOptions } from '../evaluation/map-labels.js';
import { writeFileAtomic } from '../io/atomic.js';
import { createEvalLoader, type EvalLoader } from '../loading/loader.js';
import type { Device } from '../tensor/index.js';
import { loadWeights } from './checkpoints.js';
import { predictionFingerprint } from './fingerprint.js';
import { Interrupt } from './interrupt.js';
import type { Logger } from './logging.js';
import { createProgress, type ProgressReporter } from './progress.js';
import { buildModel } from './setup.js';
import { packageVersion } from './versions.js';
import { makeWritable } from './work-dir.js';

export interface EvaluateSplitOptions {
  device: Device;
  log: Logger;
  /** Weights: a plain state dict. */
  checkpoint: string;
  /** Predictions, {name}.png. Default: work_dir.pred_dir. */
  outputDir?: string | undefined;
  /** The processes that share the images, each writing the predictions of its own. Default: this one alone. */
  team?: Team;
  /** Do again what an earlier run with the same weights and settings has done. */
  overwrite?: boolean;
}

/** What evaluation.json holds. */
export interface EvaluationReport extends Evaluation {
  dataset: string;
  split: string;
  checkpoint: string;
  outputDir: string;
  settings: Config['test'];
  /** Why scores are null. */
  reasons: Record<string, string>;
  device: Device;
  seconds: number;
  version: string;
}

/** Without symbolic links, as far as the path exists. */
function real(path: string): string {
  const absolute = resolve(path);
  if (existsSync(absolute)) return realpathSync(absolute);
  const parent = dirname(absolute);
  return parent === absolute ? absolute : join(real(parent), basename(absolute));
}

function isInside(folder: string, parent: string): boolean {
  const way = relative(real(parent), real(folder));
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** @throws UsageError when predictions would lie among the data, whose files have the same names */
function refuseDataFolders({ dataset, work_dir }: Config, folder: string, flag: string): void {
  for (const key of ['masks_dir', 'root_dir', 'name_list_dir'] as const) {
    const data = dataset[key];
    if (data === undefined || !isInside(folder, data)) continue;
    // Data in the folder that one works in, and so around the work directory too.
    if (isInside(folder, work_dir.dir) && !isInside(data, work_dir.dir)) continue;
    throw new UsageError(
      `Expected a folder outside of dataset.${key} (${data}) for ${flag} but received ${folder}: ` +
        'predictions have the names of the data, and could replace them. Choose another folder.',
    );
  }
}

/** All processes read what there is before one of them tidies it up, and none writes before that. */
async function openPredictions(
  config: Config,
  folder: string,
  { checkpoint, overwrite: redo, team = new Team() }: EvaluateSplitOptions,
): Promise<FinishedPredictions> {
  const madeFrom = await predictionFingerprint(config, checkpoint);
  const { num_classes: numClasses } = config.dataset;
  const finished = new FinishedPredictions(folder, madeFrom, { numClasses, redo, rank: team.rank });
  await team.meet();
  if (team.isLead) finished.tidy();
  await team.meet();
  return finished;
}

/**
 * Predicts and scores the split `val.split` of a configuration with the settings of its section `test`, writes the
 * predictions and evaluation.json, and says how far it is.
 * @returns undefined when Ctrl-C stopped it: scores of a part would be taken for those of the whole
 */
export async function evaluateSplit(
  config: Config,
  options: EvaluateSplitOptions,
): Promise<EvaluationReport | undefined> {
  const { device, log, checkpoint, team = new Team() } = options;
  const { test, dataset, val } = config;
  const paths = workDirPaths(config);
  const outputDir = options.outputDir ?? paths.predictions;
  refuseDataFolders(
    config,
    outputDir,
    options.outputDir === undefined ? 'work_dir.pred_dir' : '--output_dir',
  );
  team.at('the evaluation');
  const model = buildModel(config, device);
  loadWeights(model, checkpoint);
  // Faults of the data show before anything is written; warnings come from the loader.
  const opened = getDataset(dataset.name).open(dataset, val.split, () => {});
  let loader: EvalLoader | undefined;
  const interrupt = new Interrupt(team.isLead ? 'Stopping after this image' : '');
  const startedAt = Date.now();
  let progress: ProgressReporter | undefined;
  try {
    makeWritable(outputDir, options.outputDir && '--output_dir');
    makeWritable(paths.root);
    const finished = await openPredictions(config, outputDir, options);
    const index = new Map(opened.names.map((name, i) => [name, i]));
    const sources = (i: number) => ({ image: opened.imagePath?.(i), mask: opened.maskPath?.(i) });
    loader = createEvalLoader(config, val.split, {
      opened,
      rank: team.rank,
      worldSize: team.size,
      skip: (name) => finished.take(name, sources(index.get(name)!)),
      onWarning: (message) => log.warn('%s', message),
    });
    log.info('%s', `Evaluating ${checkpoint} on ${loader.length} images (split '${val.split}')`);
    const total = Math.ceil(loader.length / team.size);
    if (team.isLead) progress = createProgress({ label: 'Evaluating', total, logger: log });
    const evaluation = await evaluateImages(model, loader, {
      device,
      scales: test.scales,
      flip: test.flip,
      longSide: test.long_side,
      crf: test.crf ? denseCrf : undefined,
      maps: test.cam ? mapOptions(config) : undefined,
      outputDir,
      finished,
      team,
      onProgress: (done) => progress?.update(done),
      stopWhen: () => interrupt.asked !== undefined,
    });
    if (!evaluation) return undefined;
    const report: EvaluationReport = {
      dataset: dataset.name,
      split: val.split,
      checkpoint,
      outputDir,
      settings: test,
      ...evaluation,
      reasons: reasonsOf(evaluation, dataset.masks_dir),
      device,
      seconds: Math.round((Date.now() - startedAt) / 100) / 10,
      version: packageVersion(),
    };
    if (team.isLead) writeFileAtomic(paths.evaluation, `${JSON.stringify(report, null, 2)}\n`);
    return report;
  } finally {
    progress?.stop();
    interrupt.close();
    await loader?.close();
    model.dispose();
  }
}

function reasonsOf({ masks, scores }: Evaluation, masksDir: string): Record<string, string> {
  const why =
    masks === 0 ? `no image of the split has a mask in ${masksDir}` : 'no pixel of any mask has a class';
  return Object.fromEntries(
    Object.entries(scores).flatMap(([kind, score]) => (score === null ? [[kind, why]] : [])),
  );
}
