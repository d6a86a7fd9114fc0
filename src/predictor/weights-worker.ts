/** Reads one weight file in a worker thread and hands its tensors over without copying them. */
import { parentPort, workerData } from 'node:worker_threads';
import { readWeightFile } from '../io/weight-file.js';
import type { RawTensor } from '../tensor/dtypes.js';

/** An error as it crosses threads: structured clones lose classes and own fields. */
export interface ErrorFields {
  name: string;
  message: string;
  path?: string;
  code?: string;
}

export type WeightsAnswer = { weights: Map<string, RawTensor> } | { error: ErrorFields };

if (!parentPort)
  throw new Error('Expected to run as a worker thread of loadCheckpoint(); import weights.js instead.');

try {
  const weights = readWeightFile(workerData as string);
  const buffers = new Set([...weights.values()].map(({ data }) => data.buffer as ArrayBuffer));
  parentPort.postMessage({ weights } satisfies WeightsAnswer, [...buffers]);
} catch (fault) {
  const { name, message, path, code } = fault as ErrorFields;
  parentPort.postMessage({ error: { name, message, path, code } } satisfies WeightsAnswer);
}
