import { createEvalLoader } from '../loading/loader.js';
import { stage } from '../profile/index.js';
import { CaseCollector, saveCases, scoreCases, withoutCurves } from './cases.js';
import { saveWeights } from './checkpoints.js';
import { NonFiniteLoss } from './faults.js';
import { selectBest, shouldStop } from './selection.js';
import type { TrainSession } from './session.js';
import { validate, validateOptions } from './validate.js';

/** Whether a validation belongs after `iteration` iterations and was not finished yet. */
export function isValidationDue({ config, progress }: TrainSession): boolean {
  const { iteration, validated } = progress;
  const { eval_iters, max_iters } = config.train;
  return (
    iteration > 0 && validated !== iteration && (iteration === max_iters || iteration % eval_iters === 0)
  );
}

/**
 * Saves the iteration's weights, scores them on the validation split and keeps them as best.pth when they are.
 * Leaves `progress.validated` behind when Ctrl-C comes in between: a resumed run validates first.
 * @throws NonFiniteLoss when the weights give no finite loss
 */
export async function validateAndKeepBest(session: TrainSession): Promise<void> {
  const { config, model, device, log, paths, progress, interrupt, team } = session;
  const { iteration } = progress;
  team.at(`the validation after iteration ${iteration}`);
  if (team.isLead) stage('save weights', () => saveWeights(model, paths.iteration(iteration)));
  const evalLoader = createEvalLoader(config, config.val.split, {
    opened: session.validation,
    rank: team.rank,
    worldSize: team.size,
    onWarning: (message) => log.warn(message),
    onFault: (fault) => log.faulty(fault),
  });
  const cases = new CaseCollector(evalLoader.dataset);
  const options = {
    ...validateOptions(config, device),
    cases,
    team,
    stopWhen: () => interrupt.asked !== undefined,
    onProgress: (done: number, total: number) => log.validating(done, total),
  };
  const validating = stage('validation', () => validate(model, evalLoader, options));
  const scores = await validating.finally(() => evalLoader.close());
  if (!scores) return;
  if (!Number.isFinite(scores.loss)) throw NonFiniteLoss.ofValidation(iteration, scores.loss);
  const classes = evalLoader.dataset.classNames;
  scores.evaluation = withoutCurves(scoreCases(cases.cases, config, { classes }));
  progress.validated = iteration;
  await log.validation(iteration, scores);
  const better = selectBest(progress.best, iteration, scores, config.train.select);
  if (!better) return;
  progress.best = better.best;
  if (team.isLead) {
    stage('save weights', () => saveWeights(model, paths.best));
    saveCases(paths.cases, { split: config.val.split, classes, iteration, cases: cases.cases });
  }
  log.info(`New best checkpoint: ${better.reason}`);
}

/** Whether the run ends here because nothing has become better for long enough; says so. */
export function endsEarly({ config, log, progress }: TrainSession): boolean {
  const { iteration, validated, best } = progress;
  if (validated !== iteration || !shouldStop(best, iteration, config.train)) return false;
  log.info(
    `Stopped early after iteration ${iteration}: no better checkpoint than that of iteration ${best!.iteration} ` +
      `in ${config.train.early_stop} validations (train.early_stop)`,
  );
  return true;
}
