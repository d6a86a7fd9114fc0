/** A split that took no part in any choice, scored with what validation has chosen: checkpoint and thresholds. */
import { dirname, join } from 'node:path';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import { createEvalLoader } from '../loading/loader.js';
import type { Evaluation } from '../metrics/index.js';
import type { Device } from '../tensor/index.js';
import { CaseCollector, readCases, saveCases, scoreCases } from '../training/cases.js';
import { loadWeights } from '../training/checkpoints.js';
import { exportSplit } from '../training/export-split.js';
import { Interrupt } from '../training/interrupt.js';
import type { Logger } from '../training/logging.js';
import { MapDistances } from '../training/map-distances.js';
import { createProgress } from '../training/progress.js';
import { buildModel } from '../training/setup.js';
import { validate, validateOptions } from '../training/validate.js';
import { makeWritable } from '../training/work-dir.js';

/** Where a split's scores, maps and report lie: a folder of its name in the work directory. */
export function splitPaths(config: Config, split: string) {
  const at = (name: string) => join(workDirPaths(config).root, split, name);
  return {
    cases: at('cases.json'),
    maps: at('attention_maps'),
    cams: at('cam_npy'),
    report: at('report.html'),
  };
}

/** Thresholds of soft maps by name, as validation chose them. */
export function frozenThresholds({ localisation }: Evaluation): Record<string, string> {
  return Object.fromEntries(
    Object.entries(localisation).flatMap(([name, { threshold }]) =>
      threshold === null ? [] : [[name, threshold]],
    ),
  );
}

/**
 * Scores best.pth on a split, exports its maps, and keeps both beside the run.
 * @returns false when Ctrl-C ended it early
 * @throws UsageError for a split that does not exist, or a work directory without a finished run
 */
export async function scoreSplit(
  config: Config,
  split: string,
  { device, log }: { device: Device; log: Logger },
): Promise<boolean> {
  const paths = workDirPaths(config);
  const own = splitPaths(config, split);
  const chosen = readCases(paths.cases);
  makeWritable(dirname(own.cases));
  const thresholds = frozenThresholds(scoreCases(chosen.cases, config));
  const forSplit: Config = { ...config, val: { ...config.val, split } };
  const loader = createEvalLoader(forSplit, split, { onWarning: (message) => log.warn('%s', message) });
  const model = buildModel(config, device);
  const interrupt = new Interrupt('Stopping after this image');
  const progress = createProgress({ label: `Scoring split '${split}'`, total: loader.length, logger: log });
  const cases = new CaseCollector(loader.dataset);
  try {
    loadWeights(model, paths.best);
    const scores = await validate(model, loader, {
      ...validateOptions(forSplit, device),
      cases,
      onProgress: (done) => progress.update(done),
      stopWhen: () => interrupt.asked !== undefined,
    });
    if (!scores) return false;
  } finally {
    progress.stop();
    interrupt.close();
    await loader.close();
    model.dispose();
  }
  const { classes, iteration } = chosen;
  saveCases(own.cases, { split, classes, iteration, cases: cases.cases });
  const distances = new MapDistances(own.cases, thresholds.cam);
  const exported = await exportSplit(forSplit, {
    device,
    log,
    checkpoint: paths.best,
    outputDir: own.maps,
    camNpyDir: own.cams,
    onMap: distances.onMap,
    overwrite: true,
  });
  if (exported.stopped) return false;
  await distances.save();
  return true;
}
