import type { Phase } from './schedule.js';
import type { ValidationScores } from './validation-scores.js';

/** Why a checkpoint is the best so far. */
export interface Best {
  iteration: number;
  phase: Phase;
  metric: 'auroc' | 'loss';
  value: number;
  scores: ValidationScores;
}

/**
 * The better of two validations: highest slice AUROC, lowest loss where a split lacks positives or negatives (and
 * between equal AUROCs). Checkpoints from before the CAM phase are replaced by the first one after it: their maps
 * were never trained.
 * @returns the new best with a reason for the log, or undefined when the old one stands
 */
export function selectBest(
  previous: Best | undefined,
  iteration: number,
  phase: Phase,
  scores: ValidationScores,
): { best: Best; reason: string } | undefined {
  const metric = scores.auroc === null ? 'loss' : 'auroc';
  const value = scores.auroc ?? scores.loss;
  const best: Best = { iteration, phase, metric, value, scores };
  const shown = `validation ${metric === 'auroc' ? 'AUROC' : 'loss'} ${value.toFixed(4)}`;
  const why = metric === 'loss' ? ` (AUROC is undefined: ${scores.reasons.auroc})` : '';
  if (!previous) return { best, reason: `first validation, ${shown}${why}` };
  if (previous.phase === 'cls' && phase !== 'cls')
    return { best, reason: `first validation of the CAM phase, ${shown}${why}` };
  if (previous.phase !== 'cls' && phase === 'cls') return undefined;
  const better = metric === 'auroc' ? value > previous.value : value < previous.value;
  const tied = value === previous.value && scores.loss < previous.scores.loss;
  if (!better && !tied) return undefined;
  return {
    best,
    reason: `${shown}, before ${previous.value.toFixed(4)}${tied ? ' (lower loss)' : ''}${why}`,
  };
}
