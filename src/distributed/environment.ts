import { UsageError } from '../config/errors.js';
import { firstHost } from './slurm-hosts.js';

export type Launcher = 'torchrun' | 'Open MPI' | 'Slurm';

/** This process's place among those that a launcher started. */
export interface DistributedEnvironment {
  launcher: Launcher;
  rank: number;
  worldSize: number;
  /** Among the processes of this machine. */
  localRank: number;
  localWorldSize: number;
  /** Where init() meets; `isServer` is false where the launcher itself holds the store. */
  store: { host: string; port: number; isServer: boolean; prefix?: string };
  /** What a user should know of how this was decided. */
  notes: string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** torchrun's default, and where people expect a training to be. */
export const DEFAULT_PORT = 29500;

/** Steps from here on are Slurm's own (batch script, interactive, extern): only one process runs in them. */
const SLURM_SPECIAL_STEPS = 4294967290;

/** Reads variables of one launcher; every fault names the variable and the launcher. */
class Variables {
  constructor(
    readonly env: Environment,
    readonly launcher: Launcher,
  ) {}

  /** The first of `names` that is set. */
  text(...names: string[]): string | undefined {
    for (const name of names) if (this.env[name]) return this.env[name];
    return undefined;
  }

  integer(name: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const text = this.env[name];
    if (text === undefined || text === '') return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
    throw new UsageError(
      `Expected an integer of ${range} for ${this.launcher}'s variable ${name} but received '${text}'`,
    );
  }

  required(name: string, least: number, most?: number): number {
    const value = this.integer(name, least, most);
    if (value !== undefined) return value;
    throw new UsageError(
      `Expected ${this.launcher}'s variable ${name} beside the others but it is not set. ` +
        'Start all processes through the launcher, or unset its variables to train in one process.',
    );
  }
}

function checkPlace(place: DistributedEnvironment, names: readonly [string, string, string, string]): void {
  const { rank, worldSize, localRank, localWorldSize } = place;
  const [rankName, worldName, localName, localWorldName] = names;
  const below = (a: number, aName: string, b: number, bName: string) => {
    if (a < b) return;
    throw new UsageError(`Expected ${aName} below ${bName} but received ${aName}=${a} with ${bName}=${b}`);
  };
  below(rank, rankName, worldSize, worldName);
  below(localRank, localName, localWorldSize, localWorldName);
  if (localWorldSize > worldSize)
    throw new UsageError(
      `Expected ${localWorldName} of at most ${worldName} but received ${localWorldName}=${localWorldSize} ` +
        `with ${worldName}=${worldSize}`,
    );
}

function torchrun(env: Environment): DistributedEnvironment {
  const v = new Variables(env, 'torchrun');
  const rank = v.required('RANK', 0);
  const worldSize = v.required('WORLD_SIZE', 1);
  const host = v.text('MASTER_ADDR');
  if (!host)
    throw new UsageError(
      'Expected MASTER_ADDR beside RANK and WORLD_SIZE but it is not set: the host name of rank 0, or localhost.',
    );
  const port = v.required('MASTER_PORT', 1, 65535);
  // torchrun's agent may already hold the store at this very port; workers are then clients under its prefix.
  const agentHolds = /^(1|true)$/i.test(env.TORCHELASTIC_USE_AGENT_STORE ?? '');
  const place: DistributedEnvironment = {
    launcher: 'torchrun',
    rank,
    worldSize,
    localRank: v.integer('LOCAL_RANK', 0) ?? 0,
    localWorldSize: v.integer('LOCAL_WORLD_SIZE', 1) ?? (env.LOCAL_RANK ? worldSize : 1),
    store: agentHolds
      ? { host, port, isServer: false, prefix: `/worker/attempt_${env.TORCHELASTIC_RESTART_COUNT ?? 0}` }
      : { host, port, isServer: rank === 0 },
    notes: [],
  };
  checkPlace(place, ['RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE']);
  return place;
}

function openMpi(env: Environment): DistributedEnvironment {
  const v = new Variables(env, 'Open MPI');
  const rank = v.required('OMPI_COMM_WORLD_RANK', 0);
  const worldSize = v.required('OMPI_COMM_WORLD_SIZE', 1);
  const localRank = v.integer('OMPI_COMM_WORLD_LOCAL_RANK', 0) ?? rank;
  const localWorldSize = v.integer('OMPI_COMM_WORLD_LOCAL_SIZE', 1) ?? worldSize;
  const host = v.text('MASTER_ADDR') ?? (localWorldSize === worldSize ? '127.0.0.1' : undefined);
  if (!host)
    throw new UsageError(
      'Expected MASTER_ADDR for Open MPI over several machines but it is not set: ' +
        'mpirun -x MASTER_ADDR=<host of rank 0> ...',
    );
  const port = v.integer('MASTER_PORT', 1, 65535) ?? DEFAULT_PORT;
  const store = { host, port, isServer: rank === 0 };
  const place = {
    launcher: 'Open MPI',
    rank,
    worldSize,
    localRank,
    localWorldSize,
    store,
    notes: [],
  } as DistributedEnvironment;
  checkPlace(place, [
    'OMPI_COMM_WORLD_RANK',
    'OMPI_COMM_WORLD_SIZE',
    'OMPI_COMM_WORLD_LOCAL_RANK',
    'OMPI_COMM_WORLD_LOCAL_SIZE',
  ]);
  return place;
}

function slurm(env: Environment): DistributedEnvironment {
  const v = new Variables(env, 'Slurm');
  const sizeName = env.SLURM_STEP_NUM_TASKS ? 'SLURM_STEP_NUM_TASKS' : 'SLURM_NTASKS';
  const rank = v.required('SLURM_PROCID', 0);
  const worldSize = v.required(sizeName, 1);
  const localRank = v.required('SLURM_LOCALID', 0);
  const nodes = v.integer('SLURM_STEP_NUM_NODES', 1) ?? v.integer('SLURM_NNODES', 1) ?? 1;
  // "2(x3)" and "4,3": tasks of each node; all that is needed here is this node's, which SLURM_NODEID picks.
  const counts = (v.text('SLURM_STEP_TASKS_PER_NODE', 'SLURM_TASKS_PER_NODE') ?? '')
    .split(',')
    .flatMap((part) => {
      const [, count, times = '1'] = /^(\d+)(?:\(x(\d+)\))?$/.exec(part.trim()) ?? [];
      return count ? Array.from({ length: Number(times) }, () => Number(count)) : [];
    });
  const localWorldSize =
    counts[v.integer('SLURM_NODEID', 0) ?? 0] ?? Math.max(localRank + 1, Math.ceil(worldSize / nodes));
  const list = v.text('SLURM_STEP_NODELIST', 'SLURM_JOB_NODELIST', 'SLURM_NODELIST');
  const host = v.text('MASTER_ADDR') ?? (nodes === 1 ? '127.0.0.1' : list && firstHost(list));
  if (!host)
    throw new UsageError(
      'Expected SLURM_STEP_NODELIST or MASTER_ADDR over several machines but neither is set: start with srun.',
    );
  // Two jobs on one node must not meet at one port: without MASTER_PORT it follows from the job's number.
  const port = v.integer('MASTER_PORT', 1, 65535) ?? 20000 + ((v.integer('SLURM_JOB_ID', 0) ?? 0) % 10000);
  const place: DistributedEnvironment = {
    launcher: 'Slurm',
    rank,
    worldSize,
    localRank,
    localWorldSize,
    store: { host, port, isServer: rank === 0 },
    notes: [],
  };
  checkPlace(place, ['SLURM_PROCID', sizeName, 'SLURM_LOCALID', 'tasks of this node']);
  return place;
}

/**
 * Leaves a process one GPU of its machine, that of its local rank. CUDA reads the variable when it is first asked for
 * devices: call this before. A launcher or user who has given each process its own GPU is left alone.
 */
export function claimGpu(env: NodeJS.ProcessEnv = process.env): void {
  const place = readEnvironment(env);
  if (!place || place.localWorldSize === 1) return;
  const visible = env.CUDA_VISIBLE_DEVICES?.split(',').filter((device) => device !== '');
  if (visible?.length === 1) return;
  const { localRank } = place;
  env.CUDA_VISIBLE_DEVICES = visible?.length ? visible[localRank % visible.length] : String(localRank);
}

/** srun started this process as one of several; the batch script itself has the variables as well, but runs once. */
function inSlurmStep(env: Environment): boolean {
  const step = Number(env.SLURM_STEP_ID ?? env.SLURM_STEPID ?? Number.NaN);
  const tasks = Number(env.SLURM_STEP_NUM_TASKS ?? env.SLURM_NTASKS ?? 1);
  return env.SLURM_PROCID !== undefined && step < SLURM_SPECIAL_STEPS && tasks > 1;
}

/**
 * Reads the contract of the launcher that started this process: torchrun's RANK and WORLD_SIZE before Open MPI's
 * OMPI_COMM_WORLD_*, before Slurm's SLURM_*; MASTER_ADDR and MASTER_PORT serve all three.
 * @returns undefined when none did, or when it started a single process
 * @throws UsageError for variables that are missing, unreadable or contradict each other
 */
export function readEnvironment(env: Environment = process.env): DistributedEnvironment | undefined {
  const present: [Launcher, (env: Environment) => DistributedEnvironment][] = [];
  if (env.RANK || env.WORLD_SIZE) present.push(['torchrun', torchrun]);
  if (env.OMPI_COMM_WORLD_RANK || env.OMPI_COMM_WORLD_SIZE) present.push(['Open MPI', openMpi]);
  if (inSlurmStep(env)) present.push(['Slurm', slurm]);
  const [first, ...others] = present;
  if (!first) return undefined;
  const place = first[1](env);
  for (const [name] of others)
    place.notes.push(`Variables of ${first[0]} and of ${name} are set: ${first[0]}'s are used`);
  return place.worldSize === 1 ? undefined : place;
}
