/**
 * Writes a folder in the form that the medical datasets read: `imageSlice/{name}_{label}.npy` and, where
 * there is ground truth, `masks/` with the same names. The folder appears whole or not at all.
 */

import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { fileAccessError } from '../io/file-error.js';
import { makeFolder } from '../io/make-folder.js';
import { encodeNpy } from '../io/npy.js';

/** Subfolders of a dataset, in the order in which they become visible: images last. */
const PARTS = ['masks', 'imageSlice'] as const;
const STAGING = '.partial';

/** Pixels of one slice: `data` is [height, width], row-major. */
export interface SlicePixels {
  data: Uint8Array<ArrayBuffer>;
  height: number;
  width: number;
}

/** Collects slices in a hidden folder inside `outDir`; `commit` puts them in place, `abort` drops them. */
export class SliceWriter {
  readonly #outDir: string;
  readonly #staging: string;
  /** Whether the folder is this writer's, to take away again when nothing comes of it. */
  readonly #madeOutDir: boolean;

  /**
   * @param outDir dataset folder, made when missing
   * @param overwrite replace slices that are there already
   * @throws UsageError when slices are there and `overwrite` is false, or the folder cannot be written
   */
  constructor(outDir: string, overwrite: boolean) {
    this.#outDir = outDir;
    this.#staging = join(outDir, STAGING);
    const present = PARTS.map((part) => join(outDir, part)).find(isFilled);
    if (present !== undefined && !overwrite) {
      throw new UsageError(
        `Expected a new folder for the output but received ${outDir}, whose ${present} holds files already. ` +
          'Add --overwrite to replace them, or choose another --out.',
      );
    }
    try {
      // Left behind by a run that was killed.
      rmSync(this.#staging, { recursive: true, force: true });
      this.#madeOutDir = makeFolder(outDir) !== undefined;
      for (const part of PARTS) mkdirSync(join(this.#staging, part), { recursive: true });
    } catch (error) {
      throw new UsageError(messageOf(fileAccessError(error, 'write', outDir)), { cause: error });
    }
  }

  /** @param name file name without extension, ending in `_{label}` */
  write(name: string, image: SlicePixels, mask?: SlicePixels): void {
    this.#writeArray('imageSlice', name, image);
    if (mask) this.#writeArray('masks', name, mask);
  }

  // Not flushed one by one, as single files elsewhere are: the renames in `commit` decide what exists,
  // and a thousand flushes would cost more than drawing the slices.
  #writeArray(part: (typeof PARTS)[number], name: string, { data, height, width }: SlicePixels): void {
    const path = join(this.#staging, part, `${name}.npy`);
    try {
      writeFileSync(path, Buffer.concat(encodeNpy({ dtype: 'uint8', shape: [height, width], data })));
    } catch (error) {
      throw fileAccessError(error, 'write', path);
    }
  }

  /** Replaces what the dataset folder held by what was written; `sidecar` becomes `dataset.json`. */
  commit(sidecar: object): void {
    try {
      writeFileSync(join(this.#staging, 'dataset.json'), `${JSON.stringify(sidecar, null, 2)}\n`);
      for (const part of [...PARTS].reverse())
        rmSync(join(this.#outDir, part), { recursive: true, force: true });
      renameSync(join(this.#staging, 'dataset.json'), join(this.#outDir, 'dataset.json'));
      for (const part of PARTS) {
        // No masks folder where there is no ground truth: scores then say that masks are missing.
        if (isFilled(join(this.#staging, part)))
          renameSync(join(this.#staging, part), join(this.#outDir, part));
      }
    } catch (error) {
      throw fileAccessError(error, 'write', this.#outDir);
    } finally {
      this.abort();
    }
  }

  /** Drops what was not committed. Safe to call at any time. */
  abort(): void {
    rmSync(this.#staging, { recursive: true, force: true });
    if (!this.#madeOutDir || !existsSync(this.#outDir)) return;
    if (readdirSync(this.#outDir).length === 0) rmdirSync(this.#outDir);
  }
}

/** Whether a folder exists and holds anything but hidden files. */
function isFilled(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => !name.startsWith('.'));
  } catch {
    return false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
