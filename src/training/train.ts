import type { Config } from '../config/schema.js';
import { writeFileAtomic } from '../io/atomic.js';
import type { Batch } from '../loading/batch.js';
import { TorchError } from '../native/index.js';
import { beginIteration, endIteration, span } from '../profile/index.js';
import { NonFiniteLoss, TeamLost, TrainingStopped } from './faults.js';
import { breathe } from './interrupt.js';
import { OutOfMemory } from './out-of-memory.js';
import { phaseAt } from './schedule.js';
import { type TrainOptions, TrainSession } from './session.js';
import { stepOptions } from './setup.js';
import { queueStep } from './step.js';
import { stepGraphs } from './step-graphs.js';
import { StepQueue } from './step-queue.js';
import { type Summary, summarise } from './summary.js';
import { endsEarly, isValidationDue, validateAndKeepBest } from './validation-round.js';

export { NonFiniteLoss, TrainingStopped } from './faults.js';
export type { TrainOptions } from './session.js';

/**
 * Trains as a configuration says: classification, then labels from maps, then labels from propagated maps; validates,
 * keeps the best, and can be interrupted and resumed at any step with the same result.
 * Nothing is written before all that can be known then is checked.
 * @throws UsageError for faults of data or checkpoint that show at the start, TrainingStopped for later ones
 * @returns what summary.json holds, or undefined when Ctrl-C stopped it
 */
export async function train(config: Config, options: TrainOptions): Promise<Summary | undefined> {
  const session = new TrainSession(config, options);
  const { log, interrupt, loader, model, optimizer, paths, team } = session;
  const { max_iters, log_iters } = config.train;
  const queue = new StepQueue(session);
  const graphs = recorder();
  let stepping = false;
  let stopped = false;

  try {
    await session.join();
    const step = {
      ...stepOptions(config, options.device, loader.dataset.labels),
      ddp: session.ddp,
      graphs,
      stopAsked: () => interrupt.asked !== undefined,
    };
    for (;;) {
      if (isValidationDue(session)) {
        await queue.drain();
        await validateAndKeepBest(session);
        await session.save();
      }
      stopped = session.ddp ? queue.stopAsked : interrupt.asked !== undefined;
      if (stopped || session.progress.iteration === max_iters || endsEarly(session)) break;

      const iteration = session.progress.iteration + 1;
      const phase = phaseAt(iteration - 1, config.train);
      team.at(`iteration ${iteration}`);
      beginIteration(phase, { iteration });
      const batches = await log.dataWait.during(nextBatches());
      const logged = iteration % log_iters === 0;
      stepping = true;
      const show = logged && team.isLead;
      const queued = span('step', () => queueStep(model, optimizer, batches, phase, step, show));
      stepping = false;
      session.progress.iteration = iteration;
      await queue.add({ iteration, queued, logged, names: batches.flatMap(({ names }) => names) });
      await breathe();
      endIteration();
    }
    await queue.drain();
  } catch (error) {
    const { iteration } = session.progress;
    // Outside of a step the weights are sound: a bad slice must not cost the hours before it.
    const isSound = !stepping && !queue.failed && !(error instanceof NonFiniteLoss);
    const lost = error instanceof TorchError && error.code === 'ERR_DISTRIBUTED';
    if (lost && (stepping || queue.failed || queue.unread))
      throw new TeamLost(error, stepping ? iteration + 1 : iteration, session.saved);
    const ranOut = stepping && OutOfMemory.of(error, iteration + 1, config, session.device);
    if (ranOut) throw ranOut;
    if (!isSound || iteration === session.startedWith) throw error;
    // What they say comes second to the fault, but the schedule must know of steps that were left out.
    await queue.drain().catch(() => {});
    session.saveAlone();
    throw new TrainingStopped(error, iteration, session.saved);
  } finally {
    graphs?.dispose();
    await session.close();
  }

  if (stopped) {
    await session.save();
    log.info(
      `Stopped by ${interrupt.asked ?? 'a signal to another process'} after iteration ${session.progress.iteration}; go on with --resume`,
    );
    return undefined;
  }
  log.tellLeftOut();
  const summary = summarise(session);
  if (team.isLead) writeFileAtomic(paths.summary, `${JSON.stringify(summary, null, 2)}\n`);
  await session.ddp?.dispose();
  session.dispose();
  return summary;

  function recorder() {
    if (config.train.cuda_graphs === 'off') return undefined;
    return stepGraphs(model, optimizer, options.device, (message) => log.warn(message));
  }

  async function nextBatches() {
    const batches: Batch[] = [];
    while (batches.length < config.train.accumulate) batches.push(await loader.next());
    return batches;
  }
}
