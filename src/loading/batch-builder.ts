import { UsageError } from '../config/errors.js';
import type { DataFault, Dataset, Warn } from '../datasets/dataset.js';
import { getDataset } from '../datasets/registry.js';
import type { Mask, PixelImage } from '../datasets/sample.js';
import { useByteSource } from '../io/file-bytes.js';
import type { Batch, BatchTask, BuilderSettings, Built } from './batch.js';
import { packPixels } from './batch-pixels.js';
import { shared } from './image-cache.js';
import { augmentItem } from './items.js';
import { hashSeed, Random } from './random.js';
import { type Placed, whole } from './transforms.js';

/** Opens the split that the settings name. */
export function openDataset({ dataset, split }: BuilderSettings, warn: Warn): Dataset {
  return getDataset(dataset.name).open(dataset, split, warn);
}

/** How this thread gets at .npy files: mapping them takes the addon, which is loaded for that alone. */
export async function chooseByteSource({ dataset }: BuilderSettings): Promise<void> {
  if (dataset.mmap) (await import('../io/mapped-file.js')).mapFiles();
  else useByteSource();
}

interface TrainSample {
  index: number;
  image: PixelImage;
  /** Of the samples that this one stands in for. */
  faults: DataFault[];
}

interface EvalSample {
  index: number;
  image: PixelImage;
  mask: Mask | undefined;
}

/** Samples drawn in place of one that cannot be read, before giving up: the data are then beyond mending. */
const MOST_REPLACEMENTS = 100;

/** Reads samples and makes batches of them. Equal settings and tasks give equal batches, in any thread. */
export class BatchBuilder {
  readonly #settings: BuilderSettings;
  readonly #dataset: Dataset;
  readonly #skips: boolean;

  constructor(settings: BuilderSettings, dataset: Dataset) {
    this.#settings = settings;
    this.#dataset = dataset;
    this.#skips = settings.dataset.bad_data === 'skip';
  }

  /** One batch in training; in evaluation one for each run of samples of equal size. */
  async build(task: BatchTask): Promise<Built> {
    const rest: Omit<Built, 'batches'> = { faults: [], decoded: [] };
    const batches =
      this.#settings.mode === 'train' ? [await this.#augmented(task, rest)] : await this.#whole(task, rest);
    return { batches, ...rest };
  }

  async #augmented(task: BatchTask, { faults, decoded }: Omit<Built, 'batches'>): Promise<Batch> {
    const { epoch, indices } = task;
    const { seed, dataset } = this.#settings;
    const side = dataset.crop_size;
    const options = {
      cropSize: side,
      rescaleRange: dataset.rescale_range,
      intensityJitter: dataset.intensity_jitter,
    };
    // All at once: decoders run on threads of their own, one image ahead of the augmentation.
    const read = (index: number) => this.#read(index, task, decoded);
    const reads = indices.map((index) => this.#readOrReplace(epoch, index, read));
    for (const reading of reads) reading.catch(() => undefined);
    const shown: Placed[] = [];
    const used: number[] = [];
    for (const [b, index] of indices.entries()) {
      const sample = await reads[b]!;
      used.push(sample.index);
      faults.push(...sample.faults);
      // Drawn for the place in the epoch, so that a replacement is not seen twice alike.
      shown.push(augmentItem(sample.image, options, { seed, epoch, index }));
    }
    return this.#batch(used, shown, side, side);
  }

  /**
   * The image at `index`, or in its place that of another sample, drawn from (seed, epoch, index) alone: the same for any
   * number of workers and after a resume.
   */
  async #readOrReplace(
    epoch: number,
    index: number,
    read: (index: number) => Promise<PixelImage>,
  ): Promise<TrainSample> {
    const faults: DataFault[] = [];
    const random = new Random(hashSeed(this.#settings.seed, 'replace', epoch, index));
    for (let tried = index, left = MOST_REPLACEMENTS; ; left--) {
      const image = await this.#unlessFaulty(tried, faults, () => read(tried));
      if (image) return { index: tried, image, faults };
      if (left === 0)
        throw new UsageError(
          `Expected a readable sample among ${MOST_REPLACEMENTS} drawn in place of ${this.#dataset.names[index]} but ` +
            `received none; the last: ${faults.at(-1)!.message}`,
        );
      tried = random.below(this.#dataset.names.length);
    }
  }

  /** @returns undefined, and the fault among `faults`, where the sample's data are at fault and may be skipped */
  async #unlessFaulty<T>(
    index: number,
    faults: DataFault[],
    read: () => T | Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await this.#guard(index, read);
    } catch (error) {
      if (!(this.#skips && error instanceof UsageError)) throw error;
      faults.push({ name: this.#dataset.names[index]!, message: error.message });
      return undefined;
    }
  }

  async #whole(task: BatchTask, { faults, decoded }: Omit<Built, 'batches'>): Promise<Batch[]> {
    const runs: EvalSample[][] = [];
    for (const index of task.indices) {
      const image = await this.#unlessFaulty(index, faults, () => this.#read(index, task, decoded));
      if (!image) continue;
      // An image whose mask is at fault still counts where no mask is needed.
      const mask = await this.#unlessFaulty(index, faults, () => this.#dataset.readMask(index, image));
      const run = runs.at(-1);
      const first = run?.[0]?.image;
      if (run && first?.height === image.height && first.width === image.width)
        run.push({ index, image, mask });
      else runs.push([{ index, image, mask }]);
    }
    return runs.map((run) => this.#wholeBatch(run));
  }

  #wholeBatch(samples: readonly EvalSample[]): Batch {
    const { height, width } = samples[0]!.image;
    const indices = samples.map(({ index }) => index);
    const shown = samples.map(({ image }) => whole(image));
    const batch = this.#batch(indices, shown, height, width);
    return this.#dataset.hasMasks ? { ...batch, masks: samples.map(({ mask }) => mask) } : batch;
  }

  #batch(indices: readonly number[], shown: readonly Placed[], height: number, width: number): Batch {
    const boxes = Int32Array.from(shown.flatMap(({ box: { y0, y1, x0, x1 } }) => [y0, y1, x0, x1]));
    return { ...this.#describe(indices), pixels: packPixels(shown, height, width), height, width, boxes };
  }

  #describe(indices: readonly number[]): Pick<Batch, 'names' | 'labels'> {
    const labels = indices.map((index) => this.#dataset.label(index));
    return {
      names: indices.map((index) => this.#dataset.names[index]!),
      labels: Float32Array.from(labels.flatMap((label) => [...label])),
    };
  }

  async #read(
    index: number,
    { indices, known, keep }: BatchTask,
    decoded: Built['decoded'],
  ): Promise<PixelImage> {
    const found = known?.[indices.indexOf(index)];
    if (found) return found;
    const image = await this.#dataset.readImage(index);
    this.#checkLength(index, image);
    if (!keep) return image;
    const kept = shared(image);
    decoded.push([index, kept]);
    return kept;
  }

  /** A dataset of somebody else's may say one size and give another: what is missing would be read as black. */
  #checkLength(index: number, { data, height, width, channels = 3 }: PixelImage): void {
    if (data.length === height * width * channels) return;
    throw new UsageError(
      `Expected ${height * width * channels} values (${height} x ${width} x ${channels}) for the pixels of ` +
        `${this.#dataset.names[index]} but received ${data.length}. Mend readImage() of the dataset.`,
    );
  }

  /** Data faults name their file already; whatever else goes wrong gets the sample's name. */
  async #guard<T>(index: number, read: () => T | Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (error instanceof UsageError) throw error;
      const name = this.#dataset.names[index];
      throw new Error(`Cannot read sample ${name}: ${(error as Error).message}`, { cause: error });
    }
  }
}
