import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import { type ExportResult, exportAttentionMaps } from '../export/attention-maps.js';
import { writeFileAtomic } from '../io/atomic.js';
import { createEvalLoader } from '../loading/loader.js';
import type { Device } from '../tensor/index.js';
import { loadWeights } from './checkpoints.js';
import { Interrupt } from './interrupt.js';
import type { Logger } from './logging.js';
import { createProgress } from './progress.js';
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
  /** Do again what an earlier run with the same weights and scales has done. */
  overwrite: boolean;
}

export interface ExportedSplit extends ExportResult {
  outputDir: string;
  camNpyDir: string;
}

/** What the maps in a folder were made from: maps of other weights or scales must not be taken for these. */
async function fingerprint(config: Config, checkpoint: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(checkpoint), hash);
  const { scales } = config.cam;
  return JSON.stringify({ weights: hash.digest('hex'), scales, rootDir: config.dataset.root_dir }, null, 2);
}

/** Exports attention maps of the validation split of a configuration, and says how far it is. */
export async function exportSplit(config: Config, options: ExportSplitOptions): Promise<ExportedSplit> {
  const { device, log, checkpoint, attnNpyDir } = options;
  const paths = workDirPaths(config);
  const outputDir = options.outputDir ?? paths.attentionMaps;
  const camNpyDir = options.camNpyDir ?? paths.camNpy;
  const model = buildModel(config, device);
  loadWeights(model, checkpoint);
  for (const folder of [outputDir, camNpyDir, attnNpyDir]) if (folder) makeWritable(folder);

  const manifest = join(camNpyDir, 'export.json');
  const made = await fingerprint(config, checkpoint);
  const same = existsSync(manifest) && readFileSync(manifest, 'utf8') === made;
  writeFileAtomic(manifest, made);

  const loader = createEvalLoader(config, config.val.split, {
    onWarning: (message) => log.warn('%s', message),
  });
  log.info(
    '%s',
    `Exporting attention maps of ${loader.length} slices (split '${config.val.split}') from ${checkpoint}`,
  );
  const progress = createProgress({ label: 'Exporting maps', total: loader.length, logger: log });
  const interrupt = new Interrupt('Stopping after this map');
  try {
    const result = await exportAttentionMaps(model, loader, {
      device,
      scales: config.cam.scales,
      outputDir,
      camNpyDir,
      attnNpyDir,
      overwrite: options.overwrite || !same,
      onProgress: (done) => progress.update(done),
      stopWhen: () => interrupt.asked !== undefined,
    });
    return { ...result, outputDir, camNpyDir };
  } finally {
    progress.stop();
    interrupt.close();
    await loader.close();
    model.dispose();
  }
}
