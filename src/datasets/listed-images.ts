/**
 * JPEG or PNG images with lists of names for splits, label PNGs as masks, and one file of multi-hot labels: the layout
 * of the original's VOC and COCO. Both are this base with their folders.
 */
import { readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { UsageError } from '../config/errors.js';
import { fileAccessError } from '../io/file-error.js';
import { readLabelPng } from '../io/label-png.js';
import { asDataFault } from './data-fault.js';
import type { DataFault, Dataset, DatasetConfig } from './dataset.js';
import { readImageFile } from './image-file.js';
import { LABEL_FILE, readLabelFile, readSplitList } from './name-list.js';
import { checkedMask, requireSameSize } from './pixels.js';
import { registerDataset } from './register.js';
import { type Mask, type PixelImage, type Sample, toRgb } from './sample.js';

export interface ListedImagesOptions {
  imageDir: string;
  /** Folder of masks `{name}.png`; need not exist. */
  masksDir: string;
  /** Folder of `{split}.txt` and `cls_labels_onehot.npy`. */
  nameListDir: string;
  split: string;
  numClasses: number;
  /** Of the foreground classes; not used unless there is one for each. */
  classNames?: readonly string[] | undefined;
  ignoreIndex: number;
  /** What names alone show to be at fault: `stop` throws, `skip` leaves such samples out. */
  badData: 'stop' | 'skip';
  /** What makes such folders, for messages. */
  remedy: string;
}

/** One split of listed images, as stored: sizes may differ from image to image. */
export class ListedImagesDataset implements Dataset {
  readonly names: readonly string[];
  readonly numClasses: number;
  readonly classNames?: readonly string[];
  readonly hasMasks: boolean;
  readonly leftOut: readonly DataFault[];
  readonly missingMasks: readonly DataFault[];
  readonly #options: ListedImagesOptions;
  readonly #labels: ReadonlyMap<string, Uint8Array>;
  readonly #images: ReadonlyMap<string, string>;
  readonly #masks: ReadonlyMap<string, string>;

  /** @throws UsageError for a list, label file or image folder that is missing, and as `badData` says */
  constructor(options: ListedImagesOptions) {
    const { imageDir, masksDir, nameListDir, split, numClasses, badData, remedy } = options;
    const list = readSplitList(nameListDir, split, remedy);
    const labels = readLabelFile(nameListDir, remedy);
    this.#options = options;
    this.#images = filesByName(imageDir, ['.jpg', '.jpeg', '.png'], remedy);
    this.#masks = filesByName(masksDir, ['.png']);
    this.numClasses = numClasses;
    if (options.classNames?.length === numClasses - 1) this.classNames = options.classNames;

    const own = new Map<string, Uint8Array>();
    const faults: DataFault[] = [];
    for (const name of list) {
      const label = labels.get(name);
      const message = own.has(name)
        ? `${name} stands in ${join(nameListDir, `${split}.txt`)} more than once`
        : this.#faultOf(name, label);
      if (message === undefined) own.set(name, label!);
      else faults.push({ name, message });
    }
    if (faults.length > 0 && (badData === 'stop' || own.size === 0))
      throw refusal(faults, list.length, split);
    this.names = [...own.keys()];
    this.leftOut = faults;
    this.#labels = own;
    this.hasMasks = this.names.some((name) => this.#masks.has(name));
    this.missingMasks = this.hasMasks
      ? this.names
          .filter((name) => !this.#masks.has(name))
          .map((name) => ({ name, message: `there is no mask ${join(masksDir, `${name}.png`)}` }))
      : [];
  }

  /** What the names show to be wrong with a sample. */
  #faultOf(name: string, label: Uint8Array | undefined): string | undefined {
    const { imageDir, nameListDir, numClasses } = this.#options;
    if (!this.#images.has(name)) return `there is no image ${join(imageDir, `${name}.jpg`)}`;
    const file = join(nameListDir, LABEL_FILE);
    if (!label) return `${file} has no label for ${name}`;
    if (label.length !== numClasses - 1)
      return `the label of ${name} in ${file} has ${label.length} entries, not dataset.num_classes - 1 (${numClasses - 1})`;
    const wrong = label.find((value) => value > 1);
    return wrong === undefined ? undefined : `the label of ${name} in ${file} has values other than 0 and 1`;
  }

  label(index: number): Uint8Array {
    return this.#labels.get(this.#name(index))!;
  }

  readImage(index: number): Promise<PixelImage> {
    return readImageFile(this.imagePath(index));
  }

  maskPath(index: number): string | undefined {
    const file = this.#masks.get(this.#name(index));
    return file === undefined ? undefined : join(this.#options.masksDir, file);
  }

  readMask(index: number, image: PixelImage): Mask | undefined {
    const { ignoreIndex } = this.#options;
    const path = this.maskPath(index);
    if (path === undefined) return undefined;
    const mask = checkedMask(readMaskPng(path), this.numClasses, ignoreIndex, path);
    requireSameSize(mask, path, image, this.imagePath(index));
    return mask;
  }

  async get(index: number): Promise<Sample> {
    const image = await this.readImage(index);
    const mask = this.readMask(index, image);
    return { name: this.#name(index), image: toRgb(image), label: this.label(index), ...(mask && { mask }) };
  }

  imagePath(index: number): string {
    return join(this.#options.imageDir, this.#images.get(this.#name(index))!);
  }

  #name(index: number): string {
    const name = this.names[index];
    if (name === undefined)
      throw new RangeError(
        `Expected a sample index from 0 to ${this.names.length - 1} but received ${index}`,
      );
    return name;
  }
}

function readMaskPng(path: string): Mask {
  try {
    return readLabelPng(path);
  } catch (error) {
    throw asDataFault(error);
  }
}

/** Files of a folder by name without extension, the first of `extensions` where there are several. */
function filesByName(
  folder: string,
  extensions: readonly string[],
  remedy?: string,
): ReadonlyMap<string, string> {
  let files: string[];
  try {
    files = readdirSync(folder);
  } catch (error) {
    if (remedy === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    const fault = fileAccessError(error, 'read', folder) as Error;
    throw new UsageError(remedy ? `${fault.message} ${remedy}` : fault.message, { cause: error });
  }
  const found = new Map<string, string>();
  for (const extension of extensions) {
    for (const file of files) {
      const end = extname(file);
      const name = file.slice(0, file.length - end.length);
      if (end.toLowerCase() === extension && !found.has(name)) found.set(name, file);
    }
  }
  return found;
}

const SHOWN = 5;

function refusal(faults: readonly DataFault[], total: number, split: string): UsageError {
  const shown = faults.slice(0, SHOWN).map(({ message }) => `\n  ${message}`);
  const more = faults.length > SHOWN ? `\n  and ${faults.length - SHOWN} more` : '';
  const remedy =
    faults.length === total
      ? 'None is left to use.'
      : 'Mend them, or leave these samples out with --set dataset.bad_data=skip.';
  return new UsageError(
    `Expected an image and a label for each name of split '${split}' but ${faults.length} of ${total} are at fault:` +
      `${shown.join('')}${more}\n${remedy}`,
  );
}

/** What a set of listed images adds to the base. */
export interface ListedImageSet {
  /** As in `DatasetDefinition`. */
  name: string;
  title: string;
  /** Subfolder of images and of masks for a split; '' where all lie together. */
  subfolder(split: string): string;
  /** Of the foreground classes, where they are known. */
  classNames?(nameListDir: string): readonly string[] | undefined;
  /** The command that makes lists, labels and masks. */
  remedy: string;
}

/** Keys that only slices have: a value that nobody reads would be silently wrong. */
function refuseSliceKeys({ name, intensity, slice_split, split }: DatasetConfig): void {
  const given = [
    intensity === 'raw' ? undefined : 'dataset.intensity',
    slice_split && 'dataset.slice_split',
    split.by === 'index' ? undefined : 'dataset.split',
  ].find((key) => key !== undefined);
  if (given)
    throw new UsageError(
      `Expected no ${given} for dataset '${name}', whose images are 0..255 and whose splits are name lists, but ` +
        'received one. Remove it.',
    );
}

/** Registers a set of listed images. */
export function registerListedImages({ name, title, subfolder, classNames, remedy }: ListedImageSet): void {
  registerDataset({
    name,
    title,
    open(config, split) {
      refuseSliceKeys(config);
      return new ListedImagesDataset({
        imageDir: join(config.root_dir, 'JPEGImages', subfolder(split)),
        masksDir: join(config.masks_dir, subfolder(split)),
        // The configuration requires it of these sets.
        nameListDir: config.name_list_dir!,
        split,
        numClasses: config.num_classes,
        classNames: classNames?.(config.name_list_dir!),
        ignoreIndex: config.ignore_index,
        badData: config.bad_data,
        remedy,
      });
    },
  });
}
