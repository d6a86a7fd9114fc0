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

/** @throws UsageError where gradients lie on GPUs and the processes talk by a backend that moves the CPU's tensors alone */
export function requireGradientBackend(device: Device, backend: Backend | undefined): void {
  if (backend === 'gloo' && device.startsWith('cuda'))
    throw new UsageError(
      'Expected --backend nccl for training in several processes on CUDA but received gloo, which exchanges tensors of the ' +
        'CPU alone. Leave --backend out, or train with --cpu.',
    );
}

/**
 * @param gpus that this process sees; undefined where nobody can say
 * @throws UsageError where processes of one machine would have to share a GPU, which NCCL refuses
 */
export function requireGpuForEach(processes: number, gpus: number | undefined): void {
  if (gpus === undefined || processes <= gpus) return;
  throw new UsageError(
    `Expected --nproc_per_node of at most ${gpus}, one process for each GPU that CUDA shows here, but received ` +
      `${processes}. Larger batches without more GPUs: --accumulate; processes on the CPU: --cpu.`,
  );
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
