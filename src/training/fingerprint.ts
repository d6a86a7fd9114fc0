/** What results are made from, as text: those of other weights or settings must not be taken for finished. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Config } from '../config/schema.js';
import { packageVersion } from './versions.js';

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function madeFrom({ backbone, dataset, train }: Config, checkpoint: string) {
  const { pooling, stride } = backbone;
  return {
    weights: await sha256(checkpoint),
    pooling,
    stride,
    rootDir: dataset.root_dir,
    // Absent where they are the defaults: folders of before there was a choice stay valid.
    ...(train.amp !== 'none' && { amp: train.amp }),
    ...(dataset.intensity !== 'raw' && { intensity: dataset.intensity }),
  };
}

/** Of attention maps. */
export async function mapFingerprint(config: Config, checkpoint: string): Promise<string> {
  const { weights, ...rest } = await madeFrom(config, checkpoint);
  // Maps of several classes were once one picture of all of them.
  const byClass = config.dataset.num_classes > 2 && { classes: 'of the image' };
  return JSON.stringify({ weights, scales: config.cam.scales, ...rest, ...byClass }, null, 2);
}

/** Of predictions and their scores. */
export async function predictionFingerprint(config: Config, checkpoint: string): Promise<string> {
  const { cam, dataset, test, train, val } = config;
  const { masks_dir: masksDir, num_classes: numClasses, ignore_index: ignoreIndex } = dataset;
  const maps = test.cam && { cam, aff: val.aff, radius: train.radius };
  const made = await madeFrom(config, checkpoint);
  // Another version may score in another way.
  const version = packageVersion();
  return JSON.stringify({ version, ...made, masksDir, numClasses, ignoreIndex, test, maps });
}
