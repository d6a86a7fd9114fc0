/** What ends a training run, and what it leaves for people. */
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic.js';
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

/** Other processes of the team are gone or silent amid a step, whose weights cannot be trusted any more. */
export class TeamLost extends Error {
  override readonly name = 'TeamLost';

  constructor(cause: Error, rank: number, iteration: number, last: string) {
    super(
      `${cause.message}\nRank ${rank} lost the others in iteration ${iteration}. ` +
        `${last} holds the last validated iteration, if there was one: go on from it with --resume.`,
      { cause },
    );
  }
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
