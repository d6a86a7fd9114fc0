import { UsageError } from '../config/errors.js';
import type { Dataset, Warn } from '../datasets/dataset.js';
import { getDataset } from '../datasets/registry.js';
import type { Mask, PixelImage } from '../datasets/sample.js';
import type { Batch, BatchTask, BuilderSettings } from './batch.js';
import { ImageCache } from './image-cache.js';
import { writeTrainItem } from './items.js';
import { writeNormalizedImage } from './transforms.js';

/** Opens the split that the settings name. */
export function openDataset({ dataset, split }: BuilderSettings, warn: Warn): Dataset {
  return getDataset(dataset.name).open(dataset, split, warn);
}

interface EvalSample {
  index: number;
  image: PixelImage;
  mask: Mask | undefined;
}

/** Reads samples and makes batches of them. Equal settings and tasks give equal batches, in any thread. */
export class BatchBuilder {
  readonly #settings: BuilderSettings;
  readonly #dataset: Dataset;
  readonly #cache: ImageCache;

  constructor(settings: BuilderSettings, dataset: Dataset) {
    this.#settings = settings;
    this.#dataset = dataset;
    this.#cache = new ImageCache(settings.cacheBytes);
  }

  /** One batch in training; in evaluation one for each run of samples of equal size. */
  async build(task: BatchTask): Promise<Batch[]> {
    return this.#settings.mode === 'train' ? [await this.#augmented(task)] : this.#whole(task);
  }

  async #augmented({ epoch, indices }: BatchTask): Promise<Batch> {
    const { seed, dataset } = this.#settings;
    const side = dataset.crop_size;
    const options = {
      cropSize: side,
      rescaleRange: dataset.rescale_range,
      intensityJitter: dataset.intensity_jitter,
    };
    const batch = this.#emptyBatch(indices, side, side);
    for (const [b, index] of indices.entries()) {
      const image = await this.#read(index);
      const offset = b * 3 * side * side;
      const box = writeTrainItem(image, options, { seed, epoch, index }, batch.images, offset);
      batch.boxes.set([box.y0, box.y1, box.x0, box.x1], b * 4);
    }
    return batch;
  }

  async #whole({ indices }: BatchTask): Promise<Batch[]> {
    const runs: EvalSample[][] = [];
    for (const index of indices) {
      const image = await this.#read(index);
      const mask = await this.#guard(index, () => this.#dataset.readMask(index, image));
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
    const batch = this.#emptyBatch(indices, height, width);
    for (const [b, { image }] of samples.entries()) {
      writeNormalizedImage(image, batch.images, b * 3 * height * width);
      batch.boxes.set([0, height, 0, width], b * 4);
    }
    return this.#dataset.hasMasks ? { ...batch, masks: samples.map(({ mask }) => mask) } : batch;
  }

  #emptyBatch(indices: readonly number[], height: number, width: number): Batch {
    const labels = indices.map((index) => this.#dataset.label(index));
    return {
      names: indices.map((index) => this.#dataset.names[index]!),
      images: new Float32Array(indices.length * 3 * height * width),
      height,
      width,
      labels: Float32Array.from(labels.flatMap((label) => [...label])),
      boxes: new Int32Array(indices.length * 4),
    };
  }

  async #read(index: number): Promise<PixelImage> {
    const cached = this.#cache.get(index);
    if (cached) return cached;
    const image = await this.#guard(index, () => this.#dataset.readImage(index));
    this.#cache.set(index, image);
    return image;
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
