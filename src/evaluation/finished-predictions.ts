import { appendFileSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic.js';
import { fileAccessError } from '../io/file-error.js';
import type { LabelScoreAccumulator } from './label-scores.js';

type State = ReturnType<LabelScoreAccumulator['state']>;
/** What one image adds to each kind's scores; null for an image without a mask. */
export type ImageScores = Readonly<Record<string, State>> | null;

/** Files that a prediction and its scores were made from, where they are known. */
export interface Sources {
  image?: string | undefined;
  mask?: string | undefined;
}

const JOURNAL = /^\.evaluation(\.\d+)?\.jsonl$/;

/** Of 81 x 81 pairs of classes an image has a few. */
type Sparse = Omit<State, 'pixels'> & { pixels: [cell: number, count: number][] };
type SparseScores = Readonly<Record<string, Sparse>> | null;

const sparse = ({ pixels, ...rest }: State): Sparse => ({
  ...rest,
  pixels: pixels.flatMap((count, cell) => (count === 0 ? [] : [[cell, count] as [number, number]])),
});

function dense({ pixels, ...rest }: Sparse, cells: number): State {
  const matrix = new Array<number>(cells).fill(0);
  for (const [cell, count] of pixels) matrix[cell] = count;
  return { ...rest, pixels: matrix };
}

const eachKind = <A, B>(scores: Readonly<Record<string, A>> | null, change: (kind: A) => B) =>
  scores && Object.fromEntries(Object.entries(scores).map(([kind, value]) => [kind, change(value)]));

const lineOf = (name: string, scores: SparseScores): string => `${JSON.stringify({ name, scores })}\n`;

/**
 * What earlier runs have predicted and scored, so that one that was stopped is gone on with. A hidden journal beside the
 * predictions (one of each process) says what they were made from, and gets a line for each image once its prediction
 * is on the disk: the image's part of every score, since most label maps that are scored are not written.
 */
export class FinishedPredictions {
  readonly #taken: string[] = [];
  readonly #folder: string;
  readonly #path: string;
  readonly #header: string;
  readonly #cells: number;
  readonly #entries = new Map<string, SparseScores>();
  #begun = false;

  /**
   * @param folder of the predictions; exists
   * @param madeFrom weights and settings, as text: equal texts give equal predictions and scores
   * @param options `redo`: take nothing for finished; `rank`: of this process
   */
  constructor(
    folder: string,
    madeFrom: string,
    { numClasses, redo = false, rank = 0 }: { numClasses: number; redo?: boolean; rank?: number },
  ) {
    this.#folder = folder;
    this.#path = join(folder, rank === 0 ? '.evaluation.jsonl' : `.evaluation.${rank}.jsonl`);
    this.#header = `${JSON.stringify({ madeFrom })}\n`;
    this.#cells = numClasses ** 2;
    if (!redo) for (const file of this.#journals()) this.#read(file);
  }

  /** Leaves one journal of all that is known: called once, by one process, when all have read. */
  tidy(): void {
    for (const file of this.#journals()) if (file !== this.#path) rmSync(file);
    const lines = [...this.#entries].map(([name, scores]) => lineOf(name, scores));
    this.#begun = lines.length > 0;
    if (this.#begun) writeFileAtomic(this.#path, [this.#header, ...lines].join(''));
    else rmSync(this.#path, { force: true });
  }

  /** Whether an image is predicted and scored, by files that are not newer; `scores` then gives its own, too. */
  take(name: string, { image, mask }: Sources): boolean {
    const scores = this.#entries.get(name);
    if (scores === undefined || (scores !== null) !== (mask !== undefined)) return false;
    const made = modified(join(this.#folder, `${name}.png`));
    const isFresh = [image, mask].every(
      (path) => path === undefined || (modified(path) ?? 0) <= (made ?? -1),
    );
    if (made === undefined || !isFresh) return false;
    this.#taken.push(name);
    return true;
  }

  /** Scores of the images that `take` has found, in that order. */
  *scores(): Iterable<ImageScores> {
    for (const name of this.#taken)
      yield eachKind(this.#entries.get(name)!, (kind) => dense(kind, this.#cells));
  }

  /** Notes an image whose prediction has been written. */
  async add(name: string, scores: ImageScores): Promise<void> {
    try {
      if (!this.#begun) appendFileSync(this.#path, this.#header);
      this.#begun = true;
      await appendFile(this.#path, lineOf(name, eachKind(scores, sparse)));
    } catch (error) {
      throw fileAccessError(error, 'write', this.#path);
    }
  }

  #journals(): string[] {
    return readdirSync(this.#folder)
      .filter((name) => JOURNAL.test(name))
      .map((name) => join(this.#folder, name));
  }

  /** Takes the lines of a journal of the same making; one that was cut short is none. */
  #read(file: string): void {
    const [header, ...lines] = readFileSync(file, 'utf8').split('\n');
    if (`${header}\n` !== this.#header) return;
    for (const line of lines) {
      try {
        const { name, scores } = JSON.parse(line) as { name: string; scores: SparseScores };
        this.#entries.set(name, scores);
      } catch {}
    }
  }
}

const modified = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.mtimeMs;
