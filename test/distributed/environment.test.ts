/**
 * What launchers tell their processes. Sources: docs.pytorch.org/docs/stable/elastic/run.html (torchrun),
 * srun(1) "OUTPUT ENVIRONMENT VARIABLES" (Slurm), Open MPI's mpirun(1).
 */
import { describe, expect, it } from 'vitest';
import { claimGpu, readEnvironment } from '../../src/distributed/environment.js';
import { firstHost } from '../../src/distributed/slurm-hosts.js';

const TORCHRUN = {
  RANK: '5',
  WORLD_SIZE: '8',
  LOCAL_RANK: '1',
  LOCAL_WORLD_SIZE: '4',
  MASTER_ADDR: 'a',
  MASTER_PORT: '1234',
};
const OMPI = {
  OMPI_COMM_WORLD_RANK: '1',
  OMPI_COMM_WORLD_SIZE: '2',
  OMPI_COMM_WORLD_LOCAL_RANK: '1',
  OMPI_COMM_WORLD_LOCAL_SIZE: '2',
};
const SLURM = {
  SLURM_PROCID: '6',
  SLURM_NTASKS: '7',
  SLURM_LOCALID: '2',
  SLURM_STEP_ID: '0',
  SLURM_NNODES: '2',
  SLURM_NODEID: '1',
  SLURM_TASKS_PER_NODE: '4,3',
  SLURM_STEP_NODELIST: 'gpu[07-08]',
  SLURM_JOB_ID: '123456',
};

describe('readEnvironment', () => {
  it('is undefined for one process', () => {
    expect(readEnvironment({})).toBeUndefined();
    expect(readEnvironment({ MASTER_ADDR: 'a', MASTER_PORT: '1' })).toBeUndefined();
    expect(
      readEnvironment({ ...TORCHRUN, RANK: '0', WORLD_SIZE: '1', LOCAL_RANK: '0', LOCAL_WORLD_SIZE: '1' }),
    ).toBeUndefined();
    // A batch script has Slurm's variables too, but no srun started it; an interactive shell is a step of Slurm's own.
    expect(readEnvironment({ ...SLURM, SLURM_STEP_ID: undefined })).toBeUndefined();
    expect(readEnvironment({ ...SLURM, SLURM_STEP_ID: '4294967290' })).toBeUndefined();
  });

  it("reads torchrun's", () => {
    expect(readEnvironment(TORCHRUN)).toEqual({
      launcher: 'torchrun',
      rank: 5,
      worldSize: 8,
      localRank: 1,
      localWorldSize: 4,
      store: { host: 'a', port: 1234, isServer: false },
      notes: [],
    });
    expect(readEnvironment({ ...TORCHRUN, RANK: '0', LOCAL_RANK: '0' })!.store.isServer).toBe(true);
  });

  it("joins the store of torchrun's agent instead of opening one at its port", () => {
    const env = {
      ...TORCHRUN,
      RANK: '0',
      LOCAL_RANK: '0',
      TORCHELASTIC_USE_AGENT_STORE: 'True',
      TORCHELASTIC_RESTART_COUNT: '2',
    };
    expect(readEnvironment(env)!.store).toEqual({
      host: 'a',
      port: 1234,
      isServer: false,
      prefix: '/worker/attempt_2',
    });
  });

  it("reads Open MPI's, on one machine without an address", () => {
    expect(readEnvironment(OMPI)).toMatchObject({
      launcher: 'Open MPI',
      rank: 1,
      worldSize: 2,
      localRank: 1,
      store: { host: '127.0.0.1', port: 29500, isServer: false },
    });
    expect(() =>
      readEnvironment({ ...OMPI, OMPI_COMM_WORLD_LOCAL_SIZE: '1', OMPI_COMM_WORLD_LOCAL_RANK: '0' }),
    ).toThrow('mpirun -x MASTER_ADDR=');
  });

  it("reads Slurm's: the first host, a port of the job's own, uneven tasks", () => {
    expect(readEnvironment(SLURM)).toEqual({
      launcher: 'Slurm',
      rank: 6,
      worldSize: 7,
      localRank: 2,
      localWorldSize: 3,
      store: { host: 'gpu07', port: 23456, isServer: false },
      notes: [],
    });
    const own = readEnvironment({ ...SLURM, MASTER_ADDR: 'b', MASTER_PORT: '9' });
    expect(own!.store).toMatchObject({ host: 'b', port: 9 });
  });

  it('prefers torchrun to Open MPI to Slurm, and says so', () => {
    expect(readEnvironment({ ...SLURM, ...OMPI, ...TORCHRUN })).toMatchObject({
      launcher: 'torchrun',
      rank: 5,
      notes: [
        "Variables of torchrun and of Open MPI are set: torchrun's are used",
        "Variables of torchrun and of Slurm are set: torchrun's are used",
      ],
    });
    expect(readEnvironment({ ...SLURM, ...OMPI })!.launcher).toBe('Open MPI');
  });

  it.each([
    [{ ...TORCHRUN, RANK: 'x' }, "an integer of 0 or more for torchrun's variable RANK but received 'x'"],
    [{ ...TORCHRUN, RANK: '-1' }, "variable RANK but received '-1'"],
    [{ ...TORCHRUN, RANK: '8' }, 'Expected RANK below WORLD_SIZE but received RANK=8 with WORLD_SIZE=8'],
    [{ ...TORCHRUN, LOCAL_RANK: '4' }, 'LOCAL_RANK=4 with LOCAL_WORLD_SIZE=4'],
    [{ ...TORCHRUN, LOCAL_WORLD_SIZE: '9' }, 'LOCAL_WORLD_SIZE=9 with WORLD_SIZE=8'],
    [
      { ...TORCHRUN, WORLD_SIZE: undefined },
      "torchrun's variable WORLD_SIZE beside the others but it is not set",
    ],
    [
      { ...TORCHRUN, MASTER_PORT: '70000' },
      "1 to 65535 for torchrun's variable MASTER_PORT but received '70000'",
    ],
    [{ ...TORCHRUN, MASTER_ADDR: undefined }, 'Expected MASTER_ADDR beside RANK and WORLD_SIZE'],
    [{ ...SLURM, SLURM_LOCALID: undefined }, "Slurm's variable SLURM_LOCALID"],
    [{ ...SLURM, SLURM_STEP_NODELIST: undefined }, 'SLURM_STEP_NODELIST or MASTER_ADDR'],
  ])('refuses what is missing or contradicts itself: %#', (env, message) => {
    expect(() => readEnvironment(env)).toThrow(message);
  });
});

describe('firstHost', () => {
  it.each([
    ['gpu07', 'gpu07'],
    ['gpu[07-09,12],login', 'gpu07'],
    ['gpu[3,5-7]', 'gpu3'],
    ['rack1-gpu[001]-ib', 'rack1-gpu001-ib'],
    ['a,b', 'a'],
    ['', undefined],
  ])('of %s is %s', (list, host) => {
    expect(firstHost(list)).toBe(host);
  });
});

describe('claimGpu', () => {
  const four = {
    RANK: '6',
    WORLD_SIZE: '8',
    LOCAL_RANK: '2',
    LOCAL_WORLD_SIZE: '4',
    MASTER_ADDR: 'a',
    MASTER_PORT: '1',
  };
  const claimed = (env: Record<string, string>) => {
    const own: NodeJS.ProcessEnv = { ...env };
    claimGpu(own);
    return own.CUDA_VISIBLE_DEVICES;
  };

  it.each([
    ['its own of all', four, '2'],
    ['its own of those that may be used', { ...four, CUDA_VISIBLE_DEVICES: '4,5,6,7' }, '6'],
    ['one that another shares, where there are too few', { ...four, CUDA_VISIBLE_DEVICES: '0,1' }, '0'],
    ['what it was given', { ...four, CUDA_VISIBLE_DEVICES: '3' }, '3'],
    ['all, alone on its machine', { ...four, LOCAL_RANK: '0', LOCAL_WORLD_SIZE: '1' }, undefined],
    ['all, alone', {}, undefined],
  ])('takes %s', (_, env, device) => {
    expect(claimed(env)).toBe(device);
  });
});
