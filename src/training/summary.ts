import type { SplitReport } from '../datasets/split-report.js';
import { type Device, getNumThreads } from '../tensor/index.js';
import type { EmptySteps } from './log.js';
import type { TrainSession } from './session.js';
import type { ValidationScores } from './validation-scores.js';
import { type Versions, versionsInUse } from './versions.js';

/** What summary.json holds: the scores of best.pth on validation, and how the run came by them. */
export interface Summary extends ValidationScores {
  dataset: string;
  /** Sizes, patients and checksums of both lists, and patients that are in both. */
  splits: SplitReport;
  backbone: string;
  /** Iterations trained, and the one whose weights are best.pth. */
  iterations: number;
  bestIteration: number;
  bestMetric: { name: string; value: number };
  /** Steps left out for a loss or gradient that was not finite. */
  skippedSteps: number;
  /** Steps whose labels had no foreground, or no background: that part of the segmentation loss was 0. */
  emptySteps: EmptySteps;
  /** Samples left out for faults of their files (dataset.bad_data: skip): how many, and the first ones' reasons by name. */
  leftOut: { samples: number; reasons: Record<string, string> };
  /** Wall clock from the first iteration, validations included; over all sessions of a resumed run. */
  seconds: number;
  /** Share of the iterations' time that went by waiting for batches, 0..1; of the last session. */
  dataWait: number | null;
  seed: number;
  device: Device;
  threads: number;
  versions: Versions;
}

const REASONS_KEPT = 20;

export function summarise({ config, progress, splits, device, log, seconds }: TrainSession): Summary {
  const { best, iteration } = progress;
  if (!best) throw new Error(`Expected a validation by iteration ${iteration} but there was none`);
  return {
    ...best.scores,
    dataset: config.dataset.name,
    splits,
    backbone: config.backbone.config,
    iterations: iteration,
    bestIteration: best.iteration,
    bestMetric: { name: best.metric, value: best.value },
    skippedSteps: log.skipped,
    emptySteps: log.empty,
    leftOut: {
      samples: log.leftOut.size,
      reasons: Object.fromEntries([...log.leftOut].slice(0, REASONS_KEPT)),
    },
    seconds: Math.round(seconds * 10) / 10,
    dataWait: log.dataWait.overall,
    seed: config.train.seed,
    device,
    threads: getNumThreads(),
    versions: versionsInUse(),
  };
}
