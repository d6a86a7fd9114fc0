import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Picture } from '../export/grid.js';
import { encodePng } from '../export/png.js';
import { EventWriter } from '../io/tensorboard/event-file.js';
import { runName } from './logging.js';
import type { StepResult } from './step.js';
import type { ValidationScores } from './validation-scores.js';

/** Means since the last logged step. */
interface Means {
  clsLoss: number;
  segLoss: number;
  affLoss: number;
}

/** A name for a new run's folder, as its log file is called; a second run in the same minute gets a number. */
function freeName(folder: string): string {
  const name = runName();
  for (let n = 2, free = name; ; free = `${name}-${n++}`) if (!existsSync(join(folder, free))) return free;
}

/**
 * Numbers of nested scores by tag: `val/auroc`, `val_camDice/0.45`, `val_segScore/iou/1`; of several classes by their
 * names: `val_classes/cat/auroc`, `val_segScore/iou/cat`.
 */
export function scoreCurves(all: object): Map<string, number> {
  const { classes, ...scores } = all as { classes?: readonly { name: string }[] };
  const curves = new Map<string, number>();
  const names = classes && ['background', ...classes.map(({ name }) => name)];
  const walk = (value: unknown, [first, ...rest]: readonly string[]) => {
    if (typeof value === 'number')
      curves.set(rest.length > 0 ? `val_${first}/${rest.join('/')}` : `val/${first}`, value);
    else if (value !== null && typeof value === 'object')
      for (const [key, inner] of Object.entries(value)) {
        // Arrays have a number for each class.
        const name = (Array.isArray(value) && names?.[Number(key)]) || key;
        walk(inner, first ? [first, ...rest, name] : [name]);
      }
  };
  walk(scores, []);
  for (const { name, ...own } of classes ?? []) walk(own, ['classes', name]);
  return curves;
}

/**
 * A run for TensorBoard: `tb_logger/{time}/`, curves and pictures under the original's tags, by iterations done (the
 * original counts from 0).
 *
 * PyTorch's `add_scalars('train/loss', {...})` gives each curve a run of its own, `{time}/train_loss_{curve}`, so that
 * one chart shows them together; so does this. A run that goes on stays in its folder: TensorBoard then drops what
 * the killed session had written of the steps that are done again.
 */
export class Board {
  /** The run's folder, under tb_logger. */
  readonly name: string;
  readonly #writers = new Map<string, EventWriter>();
  readonly #folder: string;
  readonly #restartAt: number | undefined;
  #drawing: Promise<void> = Promise.resolve();

  /**
   * @param folder tb_logger
   * @param configYaml the configuration, shown as text
   * @param earlier the run that goes on, and its iterations done; one that is not in the folder starts anew there
   * @throws FileAccessError when it cannot be written
   */
  constructor(folder: string, configYaml: string, earlier: { iteration: number; board?: string }) {
    const goesOn = earlier.board !== undefined && existsSync(join(folder, earlier.board));
    this.name = goesOn ? earlier.board! : freeName(folder);
    this.#folder = join(folder, this.name);
    this.#restartAt = goesOn ? earlier.iteration + 1 : undefined;
    const text = `\`\`\`yaml\n${configYaml}\n\`\`\``;
    this.#writer().write(earlier.iteration, [{ kind: 'text', tag: 'config', text }]);
  }

  /** The writer of the run, or of one of its curves that share a chart. */
  #writer(curve = ''): EventWriter {
    let writer = this.#writers.get(curve);
    if (!writer) {
      writer = new EventWriter(join(this.#folder, curve), this.#restartAt);
      this.#writers.set(curve, writer);
    }
    return writer;
  }

  /**
   * Shows a logged step. Pictures are encoded and written while training goes on; resolves when those of the step
   * before are written, so that at most two steps' pictures are in memory.
   */
  async step(iteration: number, step: StepResult, { clsLoss, segLoss, affLoss }: Means): Promise<void> {
    const curves: [tag: string, value: number][] = [['train/lr', step.lr]];
    this.#loss(iteration, 'cls_loss', clsLoss);
    if (step.phase !== 'cls') {
      this.#loss(iteration, 'seg_loss', segLoss);
      this.#loss(iteration, 'aff_loss', affLoss);
      curves.push(['count/pos_count', step.posCount], ['count/neg_count', step.negCount]);
      curves.push(['count/foreground', step.foreground], ['count/background', step.background]);
      if (step.segAgreement !== undefined) curves.push(['train/pseudo_seg_mAcc', step.segAgreement]);
    }
    this.#scalars(iteration, curves);
    await this.#drawing;
    this.#drawing = this.#draw(iteration, step.pictures ?? []);
    // A fault is for whoever waits next.
    this.#drawing.catch(() => {});
  }

  /** Shows every score that is a number; one that could not be computed leaves a gap. */
  validation(iteration: number, { images: _, evaluation: _intervals, ...scores }: ValidationScores): void {
    this.#scalars(iteration, scoreCurves(scores));
  }

  #loss(iteration: number, curve: string, value: number): void {
    this.#writer(`train_loss_${curve}`).write(iteration, [{ kind: 'scalar', tag: 'train/loss', value }]);
  }

  #scalars(iteration: number, curves: Iterable<readonly [tag: string, value: number]>): void {
    const values = [...curves].map(([tag, value]) => ({ kind: 'scalar' as const, tag, value }));
    this.#writer().write(iteration, values);
  }

  async #draw(step: number, pictures: readonly Picture[]): Promise<void> {
    for (const { tag, rgb, height, width } of pictures) {
      const png = await encodePng(rgb, height, width);
      this.#writer().write(step, [{ kind: 'image', tag, height, width, png }]);
    }
  }

  /** Waits for pictures and ends the files; may be called twice. */
  async close(): Promise<void> {
    await this.#drawing.finally(() => {
      for (const writer of this.#writers.values()) writer.close();
    });
  }
}
