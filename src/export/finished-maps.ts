import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic.js';

export interface MapFolders {
  /** Heatmaps: {name}_{score}.png, and of several classes {name}_{score}_{class}.png. */
  outputDir: string;
  /** {name}.npy with maps and scores. */
  camNpyDir: string;
  /** {name}.npy with raw attention; absent: none. */
  attnNpyDir?: string;
}

/** Beside the arrays, hidden: what they were made from. */
const RECORD = '.export.json';
const HEATMAP = /^(.*)_\d+\.\d{3}(?:_[^.]*)?\.png$/;

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** Nanoseconds; undefined for a file that is missing, or empty as a machine that failed may leave it. */
function modified(path: string): bigint | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found?.size ? found.mtimeNs : undefined;
}

/**
 * Which maps of earlier runs may stay. A record in the folder of arrays says what maps are made from; it is written
 * anew when that changes, so files older than it are another checkpoint's. The array of a slice is written after its
 * other files: those are part of the same map when they lie between record and array. A run that was stopped half
 * way, or that filled another folder in between, is therefore never taken for finished.
 */
export class FinishedMaps {
  readonly #folders: MapFolders;
  readonly #since: bigint;
  readonly #heatmaps = new Map<string, string[]>();

  /**
   * @param folders exist and can be written
   * @param madeFrom weights and settings, as text: equal texts give equal maps
   * @param redo count nothing as finished
   */
  constructor(folders: MapFolders, madeFrom: string, redo: boolean) {
    this.#folders = folders;
    const record = join(folders.camNpyDir, RECORD);
    if (redo || read(record) !== madeFrom) writeFileAtomic(record, madeFrom);
    this.#since = modified(record)!;
    for (const file of readdirSync(folders.outputDir)) {
      const name = HEATMAP.exec(file)?.[1];
      if (name !== undefined) this.#heatmaps.set(name, [...this.heatmaps(name), file]);
    }
  }

  /** Heatmaps of a slice, of whatever score. */
  heatmaps(name: string): readonly string[] {
    return this.#heatmaps.get(name) ?? [];
  }

  /**
   * Whether every file of a slice's map is there, and all were made together from this run's weights, after the slice.
   * @param image the slice's file, where it has one: a map older than it shows what it was before
   */
  has(name: string, image?: string): boolean {
    const { outputDir, camNpyDir, attnNpyDir } = this.#folders;
    const made = modified(join(camNpyDir, `${name}.npy`));
    if (made === undefined || made < this.#since) return false;
    if (image !== undefined && (modified(image) ?? made) > made) return false;
    const belongs = (path: string) => {
      const time = modified(path);
      return time !== undefined && time >= this.#since && time <= made;
    };
    if (attnNpyDir && !belongs(join(attnNpyDir, `${name}.npy`))) return false;
    return this.heatmaps(name).some((file) => belongs(join(outputDir, file)));
  }

  /** Removes a slice's heatmaps but `kept`: their score, and so their name, was another checkpoint's. */
  removeOthers(name: string, kept: readonly string[]): void {
    for (const file of this.heatmaps(name))
      if (!kept.includes(file)) rmSync(join(this.#folders.outputDir, file), { force: true });
  }
}
