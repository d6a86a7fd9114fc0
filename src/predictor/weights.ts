import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { FileAccessError, FileFormatError } from '../io/file-error.js';
import { workerFile } from '../loading/worker-file.js';
import type { RawTensor } from '../tensor/dtypes.js';
import type { ErrorFields, WeightsAnswer } from './weights-worker.js';

/** The reader's error with its class, so that `instanceof` holds on both sides of the thread. */
function revive({ name, message, path, code }: ErrorFields): Error {
  if (name === 'FileAccessError') return new FileAccessError(message, path!, code!);
  const error = new Error(message);
  if (name !== 'FileFormatError') return error;
  // Its constructor would word the fault; this one comes worded.
  return Object.assign(Object.setPrototypeOf(error, FileFormatError.prototype), { name, path });
}

/**
 * Reads the weights of a checkpoint (.pth, .pt, .bin, .safetensors) by name, with PyTorch's names and without
 * `module.`. The file is read and parsed in a worker thread, so the event loop stays free; nothing in it is run.
 * @throws FileAccessError, FileFormatError as the promise's rejection
 */
export async function loadCheckpoint(path: string): Promise<Map<string, RawTensor>> {
  // The command line's own Node flags (test runners', debuggers') are not the worker's.
  const worker = new Worker(workerFile('./weights-worker.js', import.meta.url), {
    workerData: resolve(path),
    execArgv: [],
  });
  const answer = await new Promise<WeightsAnswer>((answered, failed) => {
    worker.once('message', answered);
    worker.once('error', failed);
    worker.once('exit', (code) => failed(new Error(`The reader of ${path} stopped with code ${code}.`)));
  });
  if ('error' in answer) throw revive(answer.error);
  return answer.weights;
}
