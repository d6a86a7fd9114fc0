import type { Picture } from '../export/grid.js';
import type { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import { Download, type Tensor } from '../tensor/index.js';
import type { Phase } from './schedule.js';

/** One step as numbers. Losses that a phase does not have are 0. */
export interface StepResult {
  phase: Phase;
  lr: number;
  loss: number;
  clsLoss: number;
  segLoss: number;
  affLoss: number;
  /** Pairs that the affinity loss counted. */
  posCount: number;
  negCount: number;
  /** Labelled pixels that the segmentation loss counted. */
  foreground: number;
  background: number;
  /** Share of pixels on which the segmentation head and the unrefined labels agree; of logged steps only. */
  segAgreement?: number;
  /** What the step saw and made of it; of logged steps only. */
  pictures?: Picture[];
  /** Somebody wants one of the processes that train together to stop. */
  stopAsked?: boolean;
  /** What was NaN or infinite; nothing was updated then. `gradient` also after such a step that training stops at. */
  nonFinite?: 'loss' | 'gradient' | undefined;
}

/**
 * A step's numbers in the order in which they leave the device; behind them the share of processes that are to stop, `found`,
 * and in logged steps the agreement.
 */
export const NUMBERS = [
  'loss',
  'clsLoss',
  'segLoss',
  'affLoss',
  'background',
  'foreground',
  'posCount',
  'negCount',
] as const;

/** A step whose work is queued on the device; its numbers are on their way. */
export class QueuedStep {
  readonly #numbers: Download;

  constructor(
    numbers: Tensor,
    readonly known: Pick<StepResult, 'phase' | 'lr' | 'pictures'>,
    readonly optimizer: PolyWarmupAdamW,
  ) {
    this.#numbers = new Download(numbers);
  }

  /** Waits for the step, but not for later ones. To be called once, in the order of the steps. */
  take(): StepResult {
    const values = this.#numbers.take();
    const numbers = Object.fromEntries(NUMBERS.map((name, i) => [name, values[i]!])) as Record<
      (typeof NUMBERS)[number],
      number
    >;
    const [stops, found, segAgreement] = values.slice(NUMBERS.length);
    const nonFinite = found === 0 ? undefined : Number.isFinite(numbers.loss) ? 'gradient' : 'loss';
    if (nonFinite) this.optimizer.unstep();
    return { ...this.known, ...numbers, segAgreement, nonFinite, ...(stops! > 0 && { stopAsked: true }) };
  }
}
