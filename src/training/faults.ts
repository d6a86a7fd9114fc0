/** What ends a training run, and what it leaves for people. */
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic.js';

/** A loss that is NaN or infinite: of a step, under `train.non_finite: stop`, or of a validation. */
export class NonFiniteLoss extends Error {
  override readonly name = 'NonFiniteLoss';

  /**
   * Of a step. Its batch is saved by name: usually one image is at fault.
   * @param folder where non_finite_batch.json goes
   */
  static ofStep(iteration: number, loss: number, names: readonly string[], folder: string): NonFiniteLoss {
    const file = join(folder, 'non_finite_batch.json');
    writeFileAtomic(file, `${JSON.stringify({ iteration, loss: String(loss), names }, null, 2)}\n`);
    return new NonFiniteLoss(
      `The loss of iteration ${iteration} is ${loss}; its batch is named in ${file}. ` +
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
