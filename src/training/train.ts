import { join } from 'node:path';
import { dumpConfig } from '../config/resolve.js';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import { writeFileAtomic } from '../io/atomic.js';
import { createEvalLoader, createTrainLoader } from '../loading/loader.js';
import { type Device, setupSeed } from '../tensor/index.js';
import { checkData } from './check-data.js';
import { type Progress, saveTraining, saveWeights } from './checkpoints.js';
import { breathe, Interrupt } from './interrupt.js';
import type { TrainLog } from './log.js';
import { keepBest, resumeFrom } from './resume.js';
import { phaseOf } from './schedule.js';
import { selectBest } from './selection.js';
import { buildModel, buildOptimizer, loadPretrained, stepOptions } from './setup.js';
import { trainStep } from './step.js';
import { type Summary, summarise } from './summary.js';
import { validate } from './validate.js';

export interface TrainOptions {
  device: Device;
  log: TrainLog;
  /** The last.pth to go on from. */
  resume?: string;
  /** Where each value of the configuration comes from, for the copy in the work directory. */
  sources?: Readonly<Record<string, string>>;
}

/** A loss that is NaN or infinite: of a step, under `train.non_finite: stop`, or of a validation. */
export class NonFiniteLoss extends Error {
  override readonly name = 'NonFiniteLoss';
}

/** A fault amid the work, by which last.pth was saved. */
export class TrainingStopped extends Error {
  override readonly name = 'TrainingStopped';

  constructor(cause: unknown, iteration: number, last: string) {
    super(
      `${cause instanceof Error ? cause.message : String(cause)}\nTraining stopped after iteration ${iteration}, ` +
        `which ${last} holds: mend this, then go on with --resume.`,
      { cause },
    );
  }
}

/**
 * Trains as a configuration says: classification, then labels from maps, then labels from propagated maps; validates,
 * keeps the best, and can be interrupted and resumed at any step with the same result.
 * Nothing is written before all that can be known then is checked.
 * @throws UsageError for faults of data or checkpoint that show at the start, TrainingStopped for later ones
 * @returns what summary.json holds, or undefined when Ctrl-C stopped it
 */
export async function train(config: Config, options: TrainOptions): Promise<Summary | undefined> {
  const { device, log } = options;
  const paths = workDirPaths(config);
  const { train: settings, val } = config;
  const { resume } = options;
  checkData(config);
  setupSeed(settings.seed);

  const model = buildModel(config, device).train();
  if (!resume) log.info(loadPretrained(model, config).message);
  const optimizer = buildOptimizer(model, config);
  let progress: Progress = {
    iteration: 0,
    validated: 0,
    sampler: { epoch: 0, cursor: 0 },
    best: undefined,
    seconds: 0,
  };
  if (resume) {
    const resumed = resumeFrom(resume, config, model, optimizer);
    progress = resumed.progress;
    log.info(`Resumed from ${resume} at iteration ${progress.iteration}`);
    for (const change of resumed.changes) log.warn(`Not as in ${resume}: ${change}`);
  }

  const loader = createTrainLoader(config, {
    startPosition: progress.sampler,
    onWarning: (message) => log.warn(message),
  });
  const configYaml = dumpConfig(config);
  writeFileAtomic(paths.config, dumpConfig(config, options.sources));
  if (resume) progress = keepBest(progress, resume, paths.best);
  const step = stepOptions(config, device);
  const interrupt = new Interrupt();
  const startedAt = Date.now() - progress.seconds * 1000;
  log.start(config, loader.dataset, progress);
  const startedWith = progress.iteration;
  let stepping = false;

  const save = () => {
    const seconds = (Date.now() - startedAt) / 1000;
    progress = { ...progress, sampler: loader.position(), seconds, log: log.state() };
    saveTraining(paths.last, model, optimizer, progress, configYaml);
  };

  try {
    for (;;) {
      if (isDue(progress.iteration) && progress.validated !== progress.iteration) {
        await validateAndKeepBest();
        save();
      }
      if (interrupt.asked || progress.iteration === settings.max_iters) break;

      const phase = phaseAt(progress.iteration);
      const batch = await loader.next();
      const logged = (progress.iteration + 1) % settings.log_iters === 0;
      stepping = true;
      const result = trainStep(model, optimizer, batch, phase, step, logged);
      stepping = false;
      if (!result.updated && settings.non_finite === 'stop') stopAtNonFinite(result.loss, batch.names);
      progress.iteration += 1;
      log.step(progress.iteration, result, logged);
      await breathe();
    }
  } catch (error) {
    // Outside of a step the weights are sound: a bad slice must not cost the hours before it.
    const isSound = !stepping && !(error instanceof NonFiniteLoss);
    if (!isSound || progress.iteration === startedWith) throw error;
    save();
    throw new TrainingStopped(error, progress.iteration, paths.last);
  } finally {
    interrupt.close();
    await loader.close();
  }

  if (interrupt.asked) {
    save();
    log.info(`Stopped by ${interrupt.asked} after iteration ${progress.iteration}; go on with --resume`);
    return undefined;
  }
  const summary = summarise(config, progress, log.skipped, device, (Date.now() - startedAt) / 1000);
  writeFileAtomic(paths.summary, `${JSON.stringify(summary, null, 2)}\n`);
  model.dispose();
  optimizer.dispose();
  return summary;

  function phaseAt(iteration: number) {
    return phaseOf(iteration, settings.cam_iters, settings.aff_label_switch_iter);
  }

  function isDue(iteration: number) {
    return iteration > 0 && (iteration === settings.max_iters || iteration % settings.eval_iters === 0);
  }

  /** Leaves `progress.validated` behind when Ctrl-C comes in between: a resumed run validates first. */
  async function validateAndKeepBest() {
    const { iteration } = progress;
    saveWeights(model, paths.iteration(iteration));
    const evalLoader = createEvalLoader(config, val.split);
    const scores = await validate(model, evalLoader, {
      device,
      scales: config.cam.scales,
      numClasses: config.dataset.num_classes,
      cam: val.cam,
      stopWhen: () => interrupt.asked !== undefined,
      onProgress: (done, total) => log.validating(done, total),
    }).finally(() => evalLoader.close());
    if (!scores) return;
    if (!Number.isFinite(scores.loss))
      throw new NonFiniteLoss(
        `The validation loss of iteration ${iteration} is ${scores.loss}: the weights are no longer finite. ` +
          'Lower optimizer.learning_rate and train anew.',
      );
    progress.validated = iteration;
    log.validation(iteration, scores);
    const better = selectBest(progress.best, iteration, phaseAt(iteration - 1), scores);
    if (!better) return;
    progress.best = better.best;
    saveWeights(model, paths.best);
    log.info(`New best checkpoint: ${better.reason}`);
  }

  function stopAtNonFinite(loss: number, names: readonly string[]): never {
    const iteration = progress.iteration + 1;
    const file = join(paths.root, 'non_finite_batch.json');
    writeFileAtomic(file, `${JSON.stringify({ iteration, loss: String(loss), names }, null, 2)}\n`);
    throw new NonFiniteLoss(
      `The loss of iteration ${iteration} is ${loss}; its batch is named in ${file}. ` +
        'Lower optimizer.learning_rate, or set train.non_finite: skip to go on without such batches.',
    );
  }
}
