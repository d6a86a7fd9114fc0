/**
 * Medical slices: one 2-D slice per .npy file, the image-level label in the file's name, splits by index.
 * LASC, BraTS and their like are this base with a name and a default split.
 */
import { dirname, join } from 'node:path';
import { type TrainItem, trainItem } from '../loading/items.js';
import { normalizeImage } from '../loading/normalize.js';
import type { AugmentOptions } from '../loading/transforms.js';
import type { Dataset, DatasetConfig, Warn } from './dataset.js';
import type { IntensityRule } from './intensity.js';
import { PATIENT_PATTERN, patientsOf } from './patients.js';
import { readMaskFile, readPixels, requireSameSize } from './pixels.js';
import { registerDataset } from './register.js';
import { MASK_IGNORE, type Mask, type PixelImage, type RgbImage, type Sample, toRgb } from './sample.js';
import { selectSplit } from './select-split.js';
import { EXTENSION, listMasks, listSlices, loadClsLabelsFromFilenames, OWN_DATA } from './slice-files.js';
import { type PixelSpacing, readSpacings } from './spacing.js';

export { loadClsLabelsFromFilenames, loadSliceList } from './slice-files.js';

const ignoreWarning: Warn = () => {};

/** Reads a slice of any numeric dtype and byte order as RGB; see `readPixels` for shapes and values. */
export function robustReadNpy(filePath: string, warn: Warn = ignoreWarning): RgbImage {
  return toRgb(readPixels(filePath, warn));
}

export interface MedicalSliceOptions {
  /** Folder of the slices. */
  rootDir: string;
  split?: string;
  /** [val_start, train_start]: see `splitByIndex`. */
  sliceSplit: readonly [number, number];
  /** Another way to split; see `selectSplit`. */
  splitRules?: DatasetConfig['split'];
  /** Regular expression whose first group is the patient. Default: all but slice number and label. */
  patientPattern?: string | undefined;
  /** Classes, background included. Default 2. */
  numClasses?: number;
  /** Folder of masks, named as their slices; need not exist. Default `masks` beside `rootDir`. */
  masksDir?: string;
  /** How stored values become 0..255. Default `raw`: they are taken to be on that scale. */
  intensity?: IntensityRule;
  /** Pixel size in mm. Default: as the `dataset.json` of `prepare nifti` beside `rootDir` says, if it is there. */
  spacing?: PixelSpacing | undefined;
  /** Mask value that means "ignored", besides 255. */
  ignoreIndex?: number;
  /** What to do when there are no slices. */
  remedy?: string;
  warn?: Warn;
}

/** One split of a folder of slices, as stored: no augmentation, no normalisation. */
export class MedicalSliceDataset implements Dataset {
  readonly names: readonly string[];
  readonly numClasses: number;
  readonly hasMasks: boolean;
  readonly patients: readonly (string | undefined)[];
  readonly spacings: readonly (PixelSpacing | undefined)[];
  readonly rootDir: string;
  readonly #masksDir: string;
  readonly #ignoreIndex: number;
  readonly #intensity: IntensityRule;
  readonly #labels: Map<string, Uint8Array>;
  readonly #masks: Set<string>;
  readonly #warn: Warn;

  constructor(options: MedicalSliceOptions) {
    const { rootDir, split = 'train', sliceSplit, numClasses = 2, remedy = OWN_DATA } = options;
    const { splitRules, patientPattern = PATIENT_PATTERN } = options;
    const slices = listSlices(rootDir, remedy);
    const labels = (files: readonly string[]) => loadClsLabelsFromFilenames(files, numClasses, rootDir);
    // Only a stratified split looks at labels outside of its own part.
    const all = splitRules?.by === 'patient' ? labels(slices) : undefined;
    const names = slices.map((file) => file.slice(0, -EXTENSION.length));
    const rules = { sliceSplit, split: splitRules, patientPattern };
    this.rootDir = rootDir;
    this.numClasses = numClasses;
    this.names = selectSplit(names, (name) => all!.get(name)!.includes(1), split, rules, rootDir);
    this.patients = patientsOf(this.names, patientPattern);
    this.spacings = this.#spacings(options.spacing);
    const files = this.names.map((name) => name + EXTENSION);
    this.#labels = labels(files);
    this.#masksDir = options.masksDir ?? join(dirname(rootDir), 'masks');
    this.#ignoreIndex = options.ignoreIndex ?? MASK_IGNORE;
    this.#intensity = options.intensity ?? 'raw';
    this.#warn = options.warn ?? ignoreWarning;
    this.#masks = listMasks(this.#masksDir, slices, rootDir);
    this.hasMasks = files.some((name) => this.#masks.has(name));
  }

  #spacings(all: PixelSpacing | undefined): (PixelSpacing | undefined)[] {
    const known = all ? undefined : readSpacings(join(dirname(this.rootDir), 'dataset.json'));
    return this.patients.map((patient) => all ?? known!.get(patient ?? ''));
  }

  get length(): number {
    return this.names.length;
  }

  label(index: number): Uint8Array {
    return this.#labels.get(this.#name(index))!;
  }

  readImage(index: number): PixelImage {
    return readPixels(this.imagePath(index), this.#warn, this.#intensity);
  }

  imagePath(index: number): string {
    return join(this.rootDir, this.#name(index) + EXTENSION);
  }

  maskPath(index: number): string | undefined {
    const file = this.#name(index) + EXTENSION;
    return this.#masks.has(file) ? join(this.#masksDir, file) : undefined;
  }

  readMask(index: number, image: PixelImage): Mask | undefined {
    const path = this.maskPath(index);
    if (path === undefined) return undefined;
    const mask = readMaskFile(path, this.numClasses, this.#ignoreIndex);
    requireSameSize(mask, path, image, this.imagePath(index));
    return mask;
  }

  get(index: number): Sample {
    const image = this.readImage(index);
    const mask = this.readMask(index, image);
    return { name: this.#name(index), image: toRgb(image), label: this.label(index), ...(mask && { mask }) };
  }

  #name(index: number): string {
    const name = this.names[index];
    if (name === undefined) {
      throw new RangeError(
        `Expected a sample index from 0 to ${this.names.length - 1} but received ${index}`,
      );
    }
    return name;
  }
}

/** Training slices: each read gives a freshly augmented, normalised crop. */
export class MedicalClsDataset extends MedicalSliceDataset {
  readonly #augment: AugmentOptions;
  readonly #seed: number;

  constructor(options: MedicalSliceOptions & AugmentOptions & { seed?: number }) {
    super(options);
    const { cropSize, rescaleRange = [0.5, 2], fliplr = true, intensityJitter } = options;
    this.#augment = { cropSize, rescaleRange, fliplr, intensityJitter };
    this.#seed = options.seed ?? 1;
  }

  /** Sample `index` as epoch `epoch` sees it: the same numbers as in the loader's batches. */
  item(index: number, epoch: number): TrainItem {
    const pixels = trainItem(this.readImage(index), this.#augment, { seed: this.#seed, epoch, index });
    return { name: this.names[index]!, label: this.label(index), ...pixels };
  }
}

/** Evaluation slices: the whole image, normalised, with its mask where there is one. */
export class MedicalClsValDataset extends MedicalSliceDataset {
  constructor(options: MedicalSliceOptions) {
    super({ split: 'val', ...options });
  }

  /** Sample `index` for evaluation: `image` is [3, height, width], normalised. */
  item(index: number): EvalItem {
    const image = this.readImage(index);
    const mask = this.readMask(index, image);
    return {
      name: this.names[index]!,
      label: this.label(index),
      image: normalizeImage(image),
      height: image.height,
      width: image.width,
      ...(mask && { mask }),
    };
  }
}

export interface EvalItem {
  name: string;
  image: Float32Array;
  height: number;
  width: number;
  label: Uint8Array;
  mask?: Mask;
}

export interface MedicalDataset {
  /** As in `DatasetDefinition`. */
  name: string;
  title: string;
  /** Split when the config gives none. */
  sliceSplit: readonly [number, number];
  /** How names tell the patient, where that is not `PATIENT_PATTERN`. */
  patientPattern?: string;
  /** What to do when `rootDir` holds no slices: where they come from, and the command that makes them. */
  remedy?(rootDir: string): string;
}

/** Registers a dataset of medical slices: all that a new one needs. */
export function registerMedicalDataset(dataset: MedicalDataset): void {
  const { name, title, sliceSplit, patientPattern, remedy } = dataset;
  registerDataset({
    name,
    title,
    open: (config, split, warn) =>
      new MedicalSliceDataset({
        rootDir: config.root_dir,
        masksDir: config.masks_dir,
        split,
        sliceSplit: config.slice_split ?? sliceSplit,
        splitRules: config.split,
        patientPattern: config.patient_pattern ?? patientPattern,
        numClasses: config.num_classes,
        ignoreIndex: config.ignore_index,
        intensity: config.intensity,
        spacing: config.spacing,
        remedy: remedy?.(config.root_dir),
        warn,
      }),
  });
}
