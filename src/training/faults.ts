/** What ends a training run, and what it leaves for people. */
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic.js';
import type { TorchError } from '../native/index.js';
import type { StepResult } from './step.js';

/** A loss or gradient that is NaN or infinite: of a step, under `train.non_finite: stop`, or of a validation. */
export class NonFiniteLoss extends Error {
  override readonly name = 'NonFiniteLoss';

  /**
   * Of a step. Its batch is saved by name: usually one image is at fault.
   * @param folder where non_finite_batch.json goes; absent where another process writes it
   */
  static ofStep(
    iteration: number,
    { loss, nonFinite }: StepResult,
    names: readonly string[],
    folder: string | undefined,
  ): NonFiniteLoss {
    const file = join(folder ?? '', 'non_finite_batch.json');
    const what = { iteration, nonFinite, loss: String(loss), names };
    if (folder !== undefined) writeFileAtomic(file, `${JSON.stringify(what, null, 2)}\n`);
    const found = nonFinite === 'loss' ? String(loss) : 'not finite';
    return new NonFiniteLoss(
      `The ${nonFinite} of iteration ${iteration} is ${found}; its batch is named in ${file}. ` +
        'Lower optimizer.learning_rate, or set train.non_finite: skip to go on without such batches.',
    );
  }

  static ofValidation(iteration: number, loss: number): NonFiniteLoss {
    return new NonFiniteLoss(
      `The validation loss of iteration ${iteration} is ${loss}: the weights are no longer finite. ` +
        'Lower optimizer.learning_rate and train anew.',
    );
  }
}

/** A checkpoint to go on from. */
export interface Saved {
  iteration: number;
  path: string;
}

/** Other processes of the team are gone or silent amid a step, whose weights cannot be trusted any more. */
export class TeamLost extends Error {
  override readonly name = 'TeamLost';

  constructor(cause: TorchError, iteration: number, saved: Saved | undefined) {
    const next = saved
      ? `${saved.path} holds iteration ${saved.iteration}: go on from it with --resume.`
      : 'No iteration was saved yet: train anew.';
    super(`${cause.message}\nIteration ${iteration} cannot be finished. ${next}`, { cause });
  }
}

/** A fault between two steps. The one process, or the lead of a team, has saved before. */
export class TrainingStopped extends Error {
  override readonly name = 'TrainingStopped';

  constructor(cause: unknown, iteration: number, saved: Saved | undefined) {
    const holds = saved?.iteration === iteration ? ', which' : `. Iteration ${saved?.iteration} is what`;
    const next = saved
      ? `${holds} ${saved.path} holds: mend this, then go on with --resume.`
      : '. No iteration was saved yet: mend this, then train anew.';
    const message = cause instanceof Error ? cause.message : String(cause);
    super(`${message}\nTraining stopped after iteration ${iteration}${next}`, { cause });
  }
}
