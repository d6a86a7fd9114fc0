import { availableParallelism } from 'node:os';
import { UsageError } from '../config/errors.js';
import { type Backend, type DistributedEnvironment, init, isAvailable, Team } from '../distributed/index.js';
import { type Device, setNumThreads } from '../tensor/index.js';

export interface TeamOptions {
  device: Device;
  backend?: Backend | undefined;
  /** Seconds. */
  timeout: number;
  /** Threads of each process; absent: an equal share of the cores. */
  threads?: number | undefined;
}

/**
 * Joins the processes that a launcher started beside this one; alone without a launcher.
 * @throws UsageError for a backend that is not here, TorchError when the others do not come in time
 */
export async function joinTeam(
  place: DistributedEnvironment | undefined,
  { device, backend = device.startsWith('cuda') ? 'nccl' : 'gloo', timeout, threads }: TeamOptions,
): Promise<Team> {
  if (threads !== undefined) setNumThreads(threads);
  if (!place) return new Team();
  if (!isAvailable(backend))
    throw new UsageError(
      `Expected a --backend that this build and machine have but received '${backend}'. ` +
        (backend === 'nccl' ? 'Use --backend gloo, or a CUDA build of libtorch with a GPU.' : ''),
    );
  // Processes that each take every core would only stand in each other's way.
  const asked = threads !== undefined || process.env.OMP_NUM_THREADS !== undefined;
  if (!asked) setNumThreads(Math.max(1, Math.floor(availableParallelism() / place.localWorldSize)));
  const { store, rank, worldSize } = place;
  return new Team(await init({ backend, store, rank, worldSize, timeout: timeout * 1000 }));
}
