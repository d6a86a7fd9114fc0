import type { Config } from '../config/schema.js';
import type { Mask, PixelImage, Sample } from './sample.js';
import type { PixelSpacing } from './spacing.js';

/** Reports something that the user should know and that stops nothing. `key` names the kind, to say it once. */
export type Warn = (key: string, message: string) => void;

/** Something wrong with one sample's files. */
export interface DataFault {
  name: string;
  /** Names the file. */
  message: string;
}

/**
 * One split of a dataset. Opening one reads names only; pixels are read, and checked, when asked for.
 * Methods may be asynchronous, for formats whose decoders are.
 */
export interface Dataset {
  /** Sample names in their fixed order: file names without extension, keys of every output file. */
  readonly names: readonly string[];
  /** Classes, background included. */
  readonly numClasses: number;
  /** What people call the foreground classes, where they have names: one for each. */
  readonly classNames?: readonly string[];
  /** Whether at least one sample of this split has a mask. */
  readonly hasMasks: boolean;
  /** Listed samples that are not among `names`: only `dataset.bad_data: skip` lets there be any. */
  readonly leftOut?: readonly DataFault[];
  /** Samples of a split with masks that lack their own, where each should have one. */
  readonly missingMasks?: readonly DataFault[];
  /** Whose image each sample is, where names tell it. Absent: every image is a case of its own. */
  readonly patients?: readonly (string | undefined)[];
  /** Multi-hot image-level label of sample `index`, [numClasses - 1]. */
  label(index: number): Uint8Array;
  /** Millimetres between rows and between columns of each sample, where known; masks have them too. */
  readonly spacings?: readonly (PixelSpacing | undefined)[];
  /** The file of sample `index`, where it has one of its own. */
  imagePath?(index: number): string;
  /** The file of its mask, where it has one. */
  maskPath?(index: number): string | undefined;
  readImage(index: number): PixelImage | Promise<PixelImage>;
  /**
   * Ground truth of sample `index`, where there is one.
   * @throws UsageError when its size is not that of `image`, which is what `readImage(index)` gave
   */
  readMask(index: number, image: PixelImage): Mask | undefined | Promise<Mask | undefined>;
  /** Image (RGB), label and mask of sample `index`, as they are stored: not augmented, not normalised. */
  get(index: number): Sample | Promise<Sample>;
}

/** The config's `dataset` section. */
export type DatasetConfig = Config['dataset'];

/** What the registry knows of a dataset. */
export interface DatasetDefinition {
  /** What `--dataset` and `dataset.name` say; also what `root_dir` is searched for when they say nothing. */
  name: string;
  /** For people, e.g. "LASC (left atrium)". */
  title: string;
  open(config: DatasetConfig, split: string, warn: Warn): Dataset;
}
