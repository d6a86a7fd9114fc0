import { span } from '../profile/index.js';
import { NonFiniteLoss } from './faults.js';
import type { TrainSession } from './session.js';
import type { QueuedStep, StepResult } from './step.js';

/** A step that is queued on the device, and what its log needs. */
interface Waiting {
  iteration: number;
  queued: QueuedStep;
  logged: boolean;
  /** Of the batch's samples. */
  names: readonly string[];
}

/**
 * Steps whose numbers have not come yet. On a GPU a step is read and logged when the next one is queued, so that the GPU
 * always has work and the host waits for none; elsewhere at once.
 */
export class StepQueue {
  readonly #session: TrainSession;
  readonly #waiting: Waiting[] = [];
  /** Steps that may be queued before the oldest is read. */
  readonly #ahead: number;
  /** Somebody wants the team to stop. All of it reads so from the same step. */
  stopAsked = false;
  /** A step's work failed on the device: the weights are not sound. */
  failed = false;

  constructor(session: TrainSession) {
    this.#session = session;
    this.#ahead = session.device.startsWith('cuda') ? 1 : 0;
  }

  /** Whether steps are under way: one that exchanges gradients with a lost process never ends. */
  get unread(): boolean {
    return this.#waiting.length > 0;
  }

  /** @throws NonFiniteLoss for a step that is not finite, under `train.non_finite: stop`; nothing was updated from it on */
  async add(step: Waiting): Promise<void> {
    this.#waiting.push(step);
    while (this.#waiting.length > this.#ahead) await this.#finish(this.#waiting.shift()!);
  }

  /** Waits for all steps, and logs them. */
  async drain(): Promise<void> {
    for (let step = this.#waiting.shift(); step; step = this.#waiting.shift()) await this.#finish(step);
  }

  async #finish({ iteration, queued, logged, names }: Waiting): Promise<void> {
    this.failed = true;
    const result = span('wait for the device', () => queued.take());
    this.#session.ddp?.requireSound();
    this.failed = false;
    this.stopAsked ||= result.stopAsked === true;
    await this.#requireFinite(result, iteration, names);
    await span('log', () => this.#session.log.step(iteration, result, logged));
  }

  /** Losses and gradients are the team's: what is not finite is so on all, whoever had the batch. */
  async #requireFinite(result: StepResult, iteration: number, names: readonly string[]): Promise<void> {
    const { config, team, paths } = this.#session;
    if (!result.nonFinite || config.train.non_finite !== 'stop') return;
    const all = (await team.gather(names)).flat();
    throw NonFiniteLoss.ofStep(iteration, result, all, team.isLead ? paths.root : undefined);
  }
}
