/** Going on from a last.pth: whether it can be done, what has changed since, and the best checkpoint so far. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from '../config/errors.js';
import { leafKeys } from '../config/keys.js';
import type { Config } from '../config/schema.js';
import { parseYaml } from '../config/yaml.js';
import { writeFileAtomic } from '../io/atomic.js';
import type { WeTr } from '../models/wetr.js';
import type { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import { type Progress, readTraining, restoreTraining } from './checkpoints.js';

export interface Resumed {
  progress: Progress;
  /** Whether the random state is the earlier session's too. */
  exact: boolean;
  /** What is different from the configuration of the earlier session. */
  changes: string[];
}

/**
 * Puts model, optimizer and random state where a last.pth has them.
 * @throws UsageError, FileFormatError, FileAccessError for the file; StateDictMismatch when it is another model's
 */
export function resumeFrom(
  path: string,
  config: Config,
  model: WeTr,
  optimizer: PolyWarmupAdamW,
  place?: { rank: number; size: number },
): Resumed {
  const saved = readTraining(path);
  requireWithinRun(saved.progress, config, path);
  const exact = restoreTraining(saved, model, optimizer, path, place);
  return { progress: saved.progress, exact, changes: configChanges(saved.config, config) };
}

/** @throws UsageError beyond the end: the loop counts up to max_iters and would never meet it */
function requireWithinRun({ iteration }: Progress, config: Config, path: string): void {
  const { max_iters: end } = config.train;
  if (iteration > end)
    throw new UsageError(
      `Expected train.max_iters of at least ${iteration}, where ${path} stands, but received ${end}. ` +
        'Raise it, or train anew without --resume.',
    );
}

/** Keys that leave the result as it is, or that the checkpoint's own weights stand in for. */
const FREE =
  /^(work_dir\.|val\.batch_size$|train\.num_workers$|dataset\.cache_bytes$|dataset\.mmap$|backbone\.(pretrained|comments))/;

/** "train.max_iters: 8 before, now 16" for each value that differs from the one that a checkpoint was made with. */
function configChanges(savedYaml: string, config: Config): string[] {
  const saved = parseYaml(savedYaml).value;
  const at = (root: unknown, key: string): unknown =>
    key.split('.').reduce((value, part) => (value as Record<string, unknown> | undefined)?.[part], root);
  return leafKeys().flatMap((key) => {
    const [before, now] = [at(saved, key), at(config, key)].map((value) => JSON.stringify(value));
    // A key that did not exist then says nothing.
    return before === undefined || before === now || FREE.test(key)
      ? []
      : [`${key}: ${before} before, now ${now}`];
  });
}

/**
 * Brings best.pth and its cases along when the checkpoint lies in another folder than this run's: the export at the end reads it.
 * @returns the progress; without its best, to be found anew, when that file is gone
 */
export function keepBest(
  progress: Progress,
  resumed: string,
  paths: { best: string; cases: string },
  mayWrite = true,
): Progress {
  if (!progress.best) return progress;
  const theirs = (ours: string) => join(dirname(resumed), basename(ours));
  if (!existsSync(theirs(paths.best))) return { ...progress, best: undefined, validated: 0 };
  for (const ours of [paths.best, paths.cases]) {
    if (!mayWrite || resolve(theirs(ours)) === resolve(ours) || !existsSync(theirs(ours))) continue;
    writeFileAtomic(ours, readFileSync(theirs(ours)));
  }
  return progress;
}
