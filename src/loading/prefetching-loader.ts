import { availableParallelism } from 'node:os';
import type { DataFault, Dataset, Warn } from '../datasets/dataset.js';
import { span } from '../profile/spans.js';
import type { Batch, BatchTask, BuilderSettings, Built, Position } from './batch.js';
import { BatchBuilder, chooseByteSource, openDataset } from './batch-builder.js';
import { ImageCache } from './image-cache.js';
import type { Sampler } from './sampler.js';
import { WorkerPool } from './worker-pool.js';

/** What is known of a split without reading pixels. */
export interface DatasetInfo {
  names: readonly string[];
  /** Multi-hot, [numClasses - 1] for each name; shared arrays, not to be changed. */
  labels: readonly Uint8Array[];
  numClasses: number;
  /** See `Dataset`. */
  classNames?: readonly string[];
  hasMasks: boolean;
  /** See `Dataset`; empty where it says nothing. */
  leftOut: readonly DataFault[];
  missingMasks: readonly DataFault[];
  /** Whose image each is, where names tell it. */
  patients?: Dataset['patients'];
  /** Size of its pixels, mm, where known. */
  spacings?: Dataset['spacings'];
}

export interface LoaderOptions {
  /** Threads; default `train.num_workers`, at most one for each core. 0 builds batches in the calling thread. */
  numWorkers?: number;
  /** Batches that each worker prepares ahead. Default 2. */
  prefetch?: number;
  /**
   * The split, where it is open already: it may hold 100,000 names. Workers open it for themselves; without any it is
   * opened again, for its warnings to come here.
   */
  opened?: Dataset;
  /**
   * Modules (file URLs) that register further datasets; the caller has imported them already. Default: those that
   * `loadDatasetModule` has loaded.
   */
  datasetModules?: readonly string[];
  /** Gets each kind of warning once. Default: standard error. */
  onWarning?: (message: string) => void;
  /**
   * Gets each sample that could not be used, under `dataset.bad_data: skip`: once, in the order of the batches, whatever
   * the number of workers. Default: `onWarning`.
   */
  onFault?: (fault: DataFault) => void;
}

/** A stream of batches that ends: every image of a split once. */
export interface EvalLoader {
  readonly dataset: DatasetInfo;
  /** Samples in the split. */
  readonly length: number;
  /** Samples of this process's share that are left out as asked, without being read. */
  readonly skipped: number;
  /** After the batches given so far: what a checkpoint keeps. Batches that are only prepared do not count. */
  position(): Position;
  /**
   * The next batch; undefined after the last. Calls may overlap and are answered in order.
   * @throws UsageError that names the file when a sample's data are at fault; the loader then goes on after it
   */
  next(): Promise<Batch | undefined>;
  /** Stops the workers. A `next()` still under way is rejected. */
  close(): Promise<void>;
}

/** A stream of batches without end. */
export interface TrainLoader extends EvalLoader {
  next(): Promise<Batch>;
}

/** Batches that were asked for and not yet given. */
interface Pending {
  start: Position;
  /** Position once they are all given. */
  end: Position;
  built: Promise<Built>;
}

/**
 * Gives batches in order, prepared ahead by worker threads. What it gives depends on config and position only,
 * not on the number of workers. Made by `createTrainLoader` and `createEvalLoader`.
 */
export class PrefetchingLoader implements EvalLoader {
  readonly dataset: DatasetInfo;
  readonly #sampler: Sampler;
  readonly #pool: WorkerPool | undefined;
  readonly #build: (task: BatchTask) => Promise<Built>;
  /** Of all workers: each image is decoded once while there is room for it. */
  readonly #cache: ImageCache;
  readonly #report: (fault: DataFault) => void;
  readonly #depth: number;
  readonly #pending: Pending[] = [];
  readonly #ready: Batch[] = [];
  #readyEnd: Position;
  #position: Position;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** @throws UsageError for faults of the data that names alone show */
  constructor(
    settings: BuilderSettings,
    { numWorkers, cacheBytes }: { numWorkers: number; cacheBytes: number },
    options: LoaderOptions,
    samplerOf: (dataset: DatasetInfo) => Sampler,
  ) {
    const { prefetch = 2, onWarning = (message) => process.stderr.write(`Warning: ${message}\n`) } = options;
    const warn = warnOnce(onWarning);
    this.#cache = new ImageCache(cacheBytes);
    this.#report = onceByName(options.onFault ?? (({ message }) => onWarning(`Left out: ${message}`)));
    const workers = options.numWorkers ?? Math.min(numWorkers, availableParallelism());
    const dataset = (workers > 0 && options.opened) || openDataset(settings, warn);
    this.dataset = describeDataset(dataset);
    for (const fault of this.dataset.leftOut) this.#report(fault);
    const usesMasks = settings.mode === 'eval' && settings.dataset.bad_data === 'skip';
    if (usesMasks) for (const fault of this.dataset.missingMasks) this.#report(fault);
    this.#sampler = samplerOf(this.dataset);
    this.#position = this.#readyEnd = this.#sampler.position();
    if (workers > 0) {
      const pool = new WorkerPool(settings, workers, warn);
      this.#pool = pool;
      this.#build = (task) => pool.submit(task);
      this.#depth = workers * prefetch;
      this.#request(this.#depth);
    } else {
      const builder = new BatchBuilder(settings, dataset);
      this.#build = async (task) => {
        await chooseByteSource(settings);
        return builder.build(task);
      };
      this.#depth = 0;
    }
  }

  get length(): number {
    return this.dataset.names.length;
  }

  get skipped(): number {
    return this.#sampler.skipped ?? 0;
  }

  position(): Position {
    return { ...this.#position };
  }

  next(): Promise<Batch | undefined> {
    const result = span('wait for data', () => this.#turn.then(() => this.#take()));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#pending.length = 0;
    this.#ready.length = 0;
    await this.#pool?.close();
  }

  async #take(): Promise<Batch | undefined> {
    if (this.#closed) throw new Error('The loader is closed.');
    // A task all of whose samples were left out gives no batch.
    while (this.#ready.length === 0) {
      if (this.#pending.length === 0) this.#request(1);
      const pending = this.#pending.shift();
      if (!pending) return undefined;
      // Before waiting, so that no worker runs dry.
      this.#request(this.#depth);
      this.#position = pending.start;
      this.#readyEnd = pending.end;
      const { batches, faults } = await this.#wait(pending.built);
      for (const fault of faults) this.#report(fault);
      this.#ready.push(...batches);
      if (batches.length === 0) this.#position = pending.end;
    }
    const batch = this.#ready.shift()!;
    // Only evaluation splits a task into several batches, and its cursor counts samples.
    const { epoch, cursor } = this.#position;
    const isLast = this.#ready.length === 0;
    this.#position = isLast ? this.#readyEnd : { epoch, cursor: cursor + batch.names.length };
    return batch;
  }

  /** Asks for tasks until `depth` are under way. */
  #request(depth: number): void {
    while (this.#pending.length < depth) {
      const start = this.#sampler.position();
      const task = this.#sampler.next();
      if (!task) return;
      const built = this.#built(task);
      // Its turn to be reported comes with next(); until then it must not count as unhandled.
      built.catch(() => undefined);
      this.#pending.push({ start, end: this.#sampler.position(), built });
    }
  }

  /** The task's batches; what is decoded goes from and to the cache. */
  async #built(task: BatchTask): Promise<Built> {
    const known = task.indices.map((index) => this.#cache.get(index));
    const built = await this.#build({ ...task, known, keep: this.#cache.hasRoom });
    for (const [index, image] of built.decoded) this.#cache.add(index, image);
    return built;
  }

  async #wait<T>(promise: Promise<T>): Promise<T> {
    this.#pool?.hold(true);
    try {
      return await promise;
    } finally {
      this.#pool?.hold(false);
    }
  }
}

function describeDataset(dataset: Dataset): DatasetInfo {
  const {
    names,
    numClasses,
    classNames,
    hasMasks,
    patients,
    spacings,
    leftOut = [],
    missingMasks = [],
  } = dataset;
  const labels = names.map((_, index) => dataset.label(index));
  const known = { names, labels, numClasses, hasMasks, patients, spacings, leftOut, missingMasks };
  return classNames ? { ...known, classNames } : known;
}

function onceByName(report: (fault: DataFault) => void): (fault: DataFault) => void {
  const said = new Set<string>();
  return (fault) => {
    if (said.has(fault.name)) return;
    said.add(fault.name);
    report(fault);
  };
}

function warnOnce(report: (message: string) => void): Warn {
  const said = new Set<string>();
  return (key, message) => {
    if (said.has(key)) return;
    said.add(key);
    report(message);
  };
}
