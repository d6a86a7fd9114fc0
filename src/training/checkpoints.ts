import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { type CheckpointValue, readCheckpoint, readStateDict, writeCheckpoint } from '../io/checkpoint.js';
import type { WeTr } from '../models/wetr.js';
import type { OptimizerState, PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import { getRngState, type RawTensor, setRngState } from '../tensor/index.js';
import type { LogState } from './log.js';
import type { Best } from './selection.js';

/** Where a run stands: everything besides weights that going on from it needs. */
export interface Progress {
  /** Iterations done. */
  iteration: number;
  /** The iteration of the last finished validation. */
  validated: number;
  sampler: { epoch: number; cursor: number };
  best: Best | undefined;
  seconds: number;
  log?: LogState;
}

/** What last.pth holds. */
export interface SavedTraining {
  model: Map<string, RawTensor>;
  optimizer: OptimizerState;
  rng: RawTensor;
  /** Random states of several processes, by rank. */
  rngs?: RawTensor[];
  progress: Progress;
  /** As YAML. */
  config: string;
}

/** Writes the plain state dict that Python's torch.load(weights_only=True) and the original model read. */
export function saveWeights(model: WeTr, path: string): void {
  writeCheckpoint(path, model.stateDict());
}

/** Writes last.pth: weights, optimizer, random state, position in the data, configuration. */
export function saveTraining(
  path: string,
  model: WeTr,
  optimizer: PolyWarmupAdamW,
  progress: Progress,
  configYaml: string,
  rngs: readonly RawTensor[] = [getRngState()],
): void {
  const { step, groups } = optimizer.state();
  writeCheckpoint(
    path,
    new Map<string, CheckpointValue>([
      ['model', model.stateDict()],
      [
        'optimizer',
        new Map<string, CheckpointValue>([
          ['step', step],
          ['groups', groups.map((group) => new Map<string, CheckpointValue>(Object.entries(group)))],
        ]),
      ],
      ['rng', rngs[0]!],
      ...(rngs.length > 1 ? [['rngs', [...rngs]] as [string, CheckpointValue]] : []),
      ['progress', JSON.stringify(progress)],
      ['config', configYaml],
    ]),
  );
}

/** @throws UsageError when the file is not one that saveTraining wrote. */
export function readTraining(path: string): SavedTraining {
  const saved = readCheckpoint(path);
  const entry = (name: string) => (saved instanceof Map ? saved.get(name) : undefined);
  const [model, optimizer, rng, progress, config] = ['model', 'optimizer', 'rng', 'progress', 'config'].map(
    entry,
  );
  if (!(model instanceof Map) || !(optimizer instanceof Map) || typeof progress !== 'string')
    throw new UsageError(
      `Expected a training checkpoint (last.pth) for --resume but ${path} holds weights only. ` +
        'Name the last.pth of the run; best.pth and wetr_iter_N.pth are for gen-attn and evaluation.',
    );
  const groups = (optimizer.get('groups') as Map<string, RawTensor[]>[]).map((group) => ({
    firstMoments: group.get('firstMoments')!,
    secondMoments: group.get('secondMoments')!,
    steps: group.get('steps')!,
  }));
  return {
    model: model as Map<string, RawTensor>,
    optimizer: { step: optimizer.get('step') as number, groups },
    rng: rng as RawTensor,
    rngs: entry('rngs') as RawTensor[] | undefined,
    progress: JSON.parse(progress) as Progress,
    config: config as string,
  };
}

/**
 * Puts model, optimizer and random state where a checkpoint has them.
 * @param path for messages
 * @param place this process among its team: each has a random state of its own
 * @returns false when the checkpoint is of another number of processes: no random state fits, none is set
 */
export function restoreTraining(
  saved: SavedTraining,
  model: WeTr,
  optimizer: PolyWarmupAdamW,
  path: string,
  { rank, size } = { rank: 0, size: 1 },
): boolean {
  model.loadStateDict(saved.model, path);
  optimizer.loadState(saved.optimizer);
  const rngs = saved.rngs ?? [saved.rng];
  if (rngs.length !== size) return false;
  setRngState(rngs[rank]!);
  return true;
}

/** Reads and restores. @throws UsageError when the file is not one that saveTraining wrote */
export function resumeTraining(path: string, model: WeTr, optimizer: PolyWarmupAdamW): Progress {
  const saved = readTraining(path);
  restoreTraining(saved, model, optimizer, path);
  return saved.progress;
}

/** @throws UsageError that says what to run first when there is no such file. */
export function loadWeights(model: WeTr, path: string): void {
  if (!existsSync(path))
    throw new UsageError(
      `Expected a checkpoint at ${path} but there is no such file. Train first (node dist/train.js), or name one with --checkpoint.`,
    );
  model.loadStateDict(readStateDict(path), path);
}

/** The wetr_iter_N.pth of the highest N. */
export function finalCheckpoint(folder: string): string {
  const found = existsSync(folder) ? readdirSync(folder) : [];
  const iterations = found.flatMap((name) => {
    const match = /^wetr_iter_(\d+)\.pth$/.exec(name);
    return match ? [Number(match[1])] : [];
  });
  if (iterations.length === 0)
    throw new UsageError(
      `Expected wetr_iter_N.pth files in ${folder} for --use_final but found none. Train first, or name a file with --checkpoint.`,
    );
  return join(folder, `wetr_iter_${Math.max(...iterations)}.pth`);
}
