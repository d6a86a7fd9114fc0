import { dumpConfig } from '../config/resolve.js';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import type { DataFault } from '../datasets/dataset.js';
import { FileAccessError } from '../io/file-error.js';
import { Board } from './board.js';
import { DataWait } from './data-wait.js';
import { calEta } from './eta.js';
import type { Logger } from './logging.js';
import { type Losses, Meter } from './meter.js';
import { MetricsLog } from './metrics-log.js';
import { createProgress, type ProgressReporter } from './progress.js';
import type { Phase } from './schedule.js';
import type { StepResult } from './step.js';
import type { ValidationScores } from './validation-scores.js';
import { validationTable } from './validation-table.js';

const PHASE_TEXT: Record<Phase, string> = {
  cls: 'classification only',
  cam: 'CAM labels',
  affinity: 'affinity labels',
};

/** What a resumed run's lines need of the session before. */
export interface LogState {
  /** Losses of the steps since the last line: the next one tells their means. */
  pending: Losses[];
  skipped: number;
  empty?: EmptySteps;
  /** Why each sample was left out, by name. */
  leftOut?: [string, string][];
  /** The run's folder for TensorBoard, under tb_logger. */
  board?: string;
}

/** Steps in which a kind of pixel was absent from the labels: it contributed 0 to the segmentation loss. */
export interface EmptySteps {
  foreground: number;
  background: number;
}

/** Samples said one by one; the rest are counted, for a folder of damaged files would bury the log. */
const FAULTS_SHOWN = 10;

/** What a training run says: log lines, a bar on a terminal, metrics.jsonl, and curves and pictures for TensorBoard. */
export class TrainLog {
  #meter = new Meter();
  #metrics: MetricsLog | undefined;
  #board: Board | undefined;
  #boardName: string | undefined;
  #progress: ProgressReporter | undefined;
  #progressAt = 0;
  #phase: Phase | undefined;
  #total = 0;
  #resumedAt = 0;
  #sessionStart = Date.now();
  #before = 0;
  /** Of this sitting: the loop tells it when it waits. */
  readonly dataWait = new DataWait();
  /** Steps left out for a loss or gradient that was not finite. */
  skipped = 0;
  empty: EmptySteps = { foreground: 0, background: 0 };
  /** Samples whose image or mask was left out under `dataset.bad_data: skip`, and why, in the order of their discovery. */
  readonly leftOut = new Map<string, string>();

  /**
   * @param metricsPath metrics.jsonl, opened when training starts; absent where another process of the team writes:
   *   then neither bar nor curves are shown
   */
  constructor(
    readonly logger: Logger,
    readonly metricsPath?: string,
  ) {}

  info(message: string): void {
    this.logger.info('%s', message);
  }
  warn(message: string): void {
    this.logger.warn('%s', message);
  }

  /** For `start` of a session that goes on from here. */
  state(): LogState {
    const { skipped, empty, leftOut } = this;
    return {
      pending: [...this.#meter.pending],
      skipped,
      empty: { ...empty },
      leftOut: [...leftOut],
      board: this.#boardName,
    };
  }

  /** @param earlier iterations of earlier sessions, their wall clock and what their log left */
  start(
    config: Config,
    training: { names: readonly string[] },
    earlier: { iteration: number; seconds: number; log?: LogState },
  ): void {
    const { iteration: done, seconds: secondsBefore, log } = earlier;
    this.#meter = new Meter(log?.pending);
    this.skipped = log?.skipped ?? 0;
    this.empty = { foreground: 0, background: 0, ...log?.empty };
    for (const [name, message] of log?.leftOut ?? []) this.leftOut.set(name, message);
    const { max_iters, cam_iters, aff_label_switch_iter, samples_per_gpu, accumulate } = config.train;
    // Lines of iterations that are about to be done again are dropped.
    if (this.metricsPath) this.#metrics = new MetricsLog(this.metricsPath, done);
    if (this.metricsPath && config.train.tensorboard.enabled) {
      const earlierRun = { iteration: done, board: log?.board };
      this.#board = new Board(workDirPaths(config).tbLogger, dumpConfig(config), earlierRun);
    }
    this.#boardName = this.#board?.name ?? log?.board;
    this.#total = max_iters;
    this.#resumedAt = done;
    this.#before = secondsBefore;
    this.#sessionStart = Date.now();
    this.info(
      `Training ${config.backbone.config} on ${training.names.length} ${config.dataset.name} images: ${max_iters} iterations of ` +
        `${accumulate > 1 ? `${accumulate} x ` : ''}${samples_per_gpu}, CAM labels after ${cam_iters}, affinity labels after ${aff_label_switch_iter}`,
    );
    if (!this.metricsPath) return;
    this.#progress = createProgress({
      label: 'Training',
      total: max_iters,
      done,
      logger: this.logger,
      plainEverySeconds: false,
    });
  }

  /** Resolves when the next step may be logged. */
  async step(iteration: number, step: StepResult, logged: boolean): Promise<void> {
    this.dataWait.stepped();
    if (step.phase !== this.#phase) {
      this.info(`Iter: ${iteration}; phase: ${PHASE_TEXT[step.phase]}`);
      this.#phase = step.phase;
    }
    if (step.nonFinite) {
      this.skipped += 1;
      const what = step.nonFinite === 'loss' ? `loss ${step.loss}` : 'a gradient';
      this.warn(`Iter: ${iteration}; ${what} is not finite: step skipped (${this.skipped} so far)`);
    } else this.#meter.add(step);
    if (step.phase !== 'cls') {
      this.empty.foreground += Number(step.foreground === 0);
      this.empty.background += Number(step.background === 0);
    }
    this.#progressAt = iteration;
    this.#progress?.update(iteration, `loss ${step.loss.toFixed(4)}`);
    if (logged) await this.#line(iteration, step);
  }

  async #line(iteration: number, step: StepResult): Promise<void> {
    const means = this.#meter.take();
    const dataWait = this.dataWait.take();
    const session = iteration - this.#resumedAt;
    const { elapsed, eta } = calEta(this.#sessionStart, session, this.#total - this.#resumedAt);
    const parts = [`cls_loss: ${means.clsLoss.toFixed(4)}`];
    if (step.phase !== 'cls')
      parts.push(
        `aff_loss: ${means.affLoss.toFixed(4)}`,
        `pseudo_seg_loss: ${means.segLoss.toFixed(4)}`,
        `pseudo_seg_mAcc: ${(step.segAgreement ?? 0).toFixed(4)}`,
      );
    parts.push(`waited for data: ${(100 * (dataWait ?? 0)).toFixed(1)} %`);
    this.info(
      `Iter: ${iteration}; Elapsed: ${elapsed}; ETA: ${eta}; LR: ${step.lr.toExponential(3)}; ${parts.join(', ')}`,
    );
    const { phase, lr, posCount, negCount, foreground, background, segAgreement } = step;
    const counts = phase === 'cls' ? {} : { posCount, negCount, foreground, background, segAgreement };
    const seconds = this.#before + (Date.now() - this.#sessionStart) / 1000;
    this.#metrics?.append({ kind: 'train', iteration, phase, lr, ...means, ...counts, dataWait, seconds });
    await this.#show((board) => board.step(iteration, step, means));
  }

  /** A training that runs well must not end because its window broke: said once, then it goes on without. */
  async #show(draw: (board: Board) => void | Promise<void>): Promise<void> {
    const board = this.#board;
    if (!board) return;
    try {
      await draw(board);
    } catch (error) {
      if (!(error instanceof FileAccessError)) throw error;
      this.#board = undefined;
      this.warn(`${error.message} Training goes on without TensorBoard.`);
      await board.close().catch(() => {});
    }
  }

  /** Counts and tells a sample that could not be used. */
  faulty({ name, message }: DataFault): void {
    if (this.leftOut.has(name)) return;
    this.leftOut.set(name, message);
    if (this.leftOut.size <= FAULTS_SHOWN) this.warn(`Left out: ${message}`);
    else if (this.leftOut.size === FAULTS_SHOWN + 1)
      this.warn('Further samples that are left out are only counted');
  }

  /** Ends the log of a run with what it went without. */
  tellLeftOut(): void {
    if (this.leftOut.size === 0) return;
    const names = [...this.leftOut.keys()].slice(0, FAULTS_SHOWN);
    const more = this.leftOut.size > names.length ? ', ...' : '';
    this.warn(
      `Left out for faults of their files: ${this.leftOut.size} samples (${names.join(', ')}${more})`,
    );
  }

  validating(done: number, total: number): void {
    this.#progress?.update(this.#progressAt, `validating ${done}/${total}`);
  }

  async validation(iteration: number, scores: ValidationScores): Promise<void> {
    const shown = (value: number | null) => (value === null ? 'n/a' : value.toFixed(4));
    const parts = [
      `AUROC ${shown(scores.auroc)}`,
      `accuracy ${shown(scores.accuracy)}`,
      `F1 ${shown(scores.f1)}`,
    ];
    if (scores.camDiceBest) {
      const { threshold, dice } = scores.camDiceBest;
      parts.push(`CAM Dice ${dice.toFixed(4)} (best threshold ${threshold})`);
      parts.push(`seg Dice ${shown(scores.segDice)}`, `pointing game ${shown(scores.pointingGame)}`);
    }
    if (scores.segScore) {
      const [seg, cam, aff] = [scores.segScore, scores.camScore, scores.affScore].map((s) => s?.miou ?? null);
      parts.push(`mIoU ${shown(seg!)} (CAM ${shown(cam!)}, affinity CAM ${shown(aff!)})`);
    }
    this.info(`Validation at ${iteration}: ${parts.join(', ')}, loss ${scores.loss.toFixed(4)}`);
    const table = validationTable(scores);
    if (table) this.info(`Scores by class:\n${table}`);
    const { camDice, ...rest } = scores;
    this.#metrics?.append({ kind: 'validation', iteration, ...rest, camDice });
    await this.#show((board) => board.validation(iteration, scores));
  }

  /** Ends bar and files; may be called twice. */
  async stop(): Promise<void> {
    this.#progress?.stop();
    this.#metrics?.close();
    this.#metrics = undefined;
    await this.#show((board) => board.close());
    this.#board = undefined;
  }
}
