import type { Config } from '../config/schema.js';
import { intervalText } from './cases.js';
import type { ValidationScores } from './validation-scores.js';

export type SelectMetric = Config['train']['select']['metric'];

/** How `train.select` names the scores of a validation, and what people call them. */
const METRICS: Record<SelectMetric, { title: string; of(scores: ValidationScores): number | null }> = {
  auroc: { title: 'AUROC', of: (s) => s.auroc },
  mAP: { title: 'mean average precision', of: (s) => s.mAP },
  accuracy: { title: 'accuracy', of: (s) => s.accuracy },
  f1: { title: 'F1', of: (s) => s.f1 },
  sensitivity: { title: 'sensitivity', of: (s) => s.sensitivity },
  specificity: { title: 'specificity', of: (s) => s.specificity },
  loss: { title: 'loss', of: (s) => s.loss },
  camDice: { title: 'CAM Dice at the best threshold', of: (s) => s.camDiceBest?.dice ?? null },
  segDice: { title: 'segmentation Dice', of: (s) => s.segDice },
  pointingGame: { title: 'pointing game', of: (s) => s.pointingGame },
  segMiou: { title: 'segmentation mIoU', of: (s) => s.segScore?.miou ?? null },
  camMiou: { title: 'CAM mIoU', of: (s) => s.camScore?.miou ?? null },
  affMiou: { title: 'affinity CAM mIoU', of: (s) => s.affScore?.miou ?? null },
};

/** Where `reasons` of a validation explains a metric that is missing. */
const REASON_OF: Partial<Record<SelectMetric, string>> = {
  segMiou: 'segScore',
  camMiou: 'camScore',
  affMiou: 'affScore',
};

/** Why a checkpoint is the best so far. */
export interface Best {
  iteration: number;
  /** After `train.select.after`: checkpoints from before only hold the place until there is one. */
  eligible: boolean;
  metric: SelectMetric;
  value: number;
  scores: ValidationScores;
}

/**
 * The better of two validations by `train.select`; the lower loss between equal ones, and where the metric is
 * undefined. Before `select.after` iterations maps were not trained: such a checkpoint yields to the first one after it.
 * @returns the new best with a reason for the log, or undefined when the old one stands
 */
export function selectBest(
  previous: Best | undefined,
  iteration: number,
  scores: ValidationScores,
  select: Config['train']['select'],
): { best: Best; reason: string } | undefined {
  const wanted = METRICS[select.metric].of(scores);
  const metric = wanted === null ? 'loss' : select.metric;
  const value = wanted ?? scores.loss;
  const best: Best = { iteration, eligible: iteration > select.after, metric, value, scores };
  const range = metric === 'auroc' ? intervalText(scores.evaluation?.perSlice.auroc) : '';
  const shown = `validation ${METRICS[metric].title} ${value.toFixed(4)}${range}`;
  const why =
    wanted === null
      ? ` (${METRICS[select.metric].title} is undefined: ${whyMissing(select.metric, scores)})`
      : '';
  if (!previous) return { best, reason: `first validation, ${shown}${why}` };
  if (previous.eligible !== best.eligible) {
    const after = `first validation after iteration ${select.after} (train.select.after), ${shown}${why}`;
    return best.eligible ? { best, reason: after } : undefined;
  }
  // A metric that comes into being, or is lost, cannot be compared with the one before.
  if (previous.metric !== metric)
    return metric === 'loss' ? undefined : { best, reason: `${shown}, which was undefined before` };
  const sign = (metric === select.metric ? select.mode : 'min') === 'max' ? 1 : -1;
  const gain = sign * (value - previous.value);
  const tied = gain === 0 && scores.loss < previous.scores.loss;
  if (!(gain > 0) && !tied) return undefined;
  return {
    best,
    reason: `${shown}, before ${previous.value.toFixed(4)}${tied ? ' (lower loss)' : ''}${why}`,
  };
}

const whyMissing = (metric: SelectMetric, { reasons }: ValidationScores): string =>
  reasons[REASON_OF[metric] ?? metric] ?? 'this validation does not compute it';

/** Whether `train.early_stop` validations have passed since the best one, all of them eligible. */
export function shouldStop(
  best: Best | undefined,
  iteration: number,
  { early_stop, eval_iters }: Config['train'],
): boolean {
  return (
    early_stop !== undefined &&
    best?.eligible === true &&
    iteration - best.iteration >= early_stop * eval_iters
  );
}
