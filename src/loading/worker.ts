/** A loader's worker thread: builds the batches that it is asked for, one after the other. */
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { importDatasetModule } from '../datasets/plug-in.js';
import { microseconds } from '../profile/clock.js';
import type { BuilderSettings } from './batch.js';
import { BatchBuilder, chooseByteSource, openDataset } from './batch-builder.js';
import { buffersOf, describeError, type TaskMessage, type WorkerMessage } from './messages.js';

if (!parentPort)
  throw new Error('Expected to run as a worker thread of the loader; import loader.js instead.');
const port = parentPort;
const send = (message: WorkerMessage, transfer: ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer);

/**
 * Of two threads that want one core the computing one goes first: a batch has a whole step's time to be made in, while
 * a team of compute threads waits for its slowest.
 */
function giveWay(): void {
  // Linux has priorities of threads; elsewhere this would slow the whole process.
  if (process.platform === 'linux') setPriority(Math.min(19, getPriority() + NICENESS));
}

/** A third of the share that a core's other thread gets, so that no load of computing starves the loader. */
const NICENESS = 5;

async function startBuilder(settings: BuilderSettings): Promise<BatchBuilder> {
  for (const module of settings.datasetModules) await importDatasetModule(module);
  await chooseByteSource(settings);
  const dataset = openDataset(settings, (key, message) => send({ kind: 'warning', key, message }));
  return new BatchBuilder(settings, dataset);
}

async function answer(builder: BatchBuilder, { id, task }: TaskMessage): Promise<void> {
  try {
    const start = microseconds();
    const built = await builder.build(task);
    send({ kind: 'built', id, built, work: [start, microseconds()] }, buffersOf(built.batches));
  } catch (error) {
    send({ kind: 'failed', id, error: describeError(error) });
  }
}

try {
  giveWay();
  const builder = await startBuilder(workerData as BuilderSettings);
  // A chain, because builds of image formats with asynchronous decoders would otherwise interleave.
  let last = Promise.resolve();
  port.on('message', (message: TaskMessage) => {
    last = last.then(() => answer(builder, message));
  });
} catch (error) {
  send({ kind: 'broken', error: describeError(error) });
}
