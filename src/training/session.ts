import { dumpConfig } from '../config/resolve.js';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import { leakage, type SplitReport, splitLine } from '../datasets/split-report.js';
import { writeFileAtomic } from '../io/atomic.js';
import { createTrainLoader, type TrainLoader } from '../loading/loader.js';
import type { WeTr } from '../models/wetr.js';
import type { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import { type Device, getNumThreads, setupSeed } from '../tensor/index.js';
import { checkData } from './check-data.js';
import { type Progress, saveTraining } from './checkpoints.js';
import { Interrupt } from './interrupt.js';
import type { TrainLog } from './log.js';
import { loadPretrained } from './pretrained.js';
import { keepBest, resumeFrom } from './resume.js';
import { buildModel, buildOptimizer } from './setup.js';
import { versionsInUse } from './summary.js';

export interface TrainOptions {
  device: Device;
  log: TrainLog;
  /** The last.pth to go on from. */
  resume?: string;
  /** Where each value of the configuration comes from, for the copy in the work directory. */
  sources?: Readonly<Record<string, string>>;
}

/** Heads config.yaml: with it, the file is enough to run the same again. */
function provenance(): string {
  const versions = Object.entries(versionsInUse()).map(([name, version]) => `${name} ${version}`);
  return `# ${versions.join(', ')}; ${getNumThreads()} threads\n`;
}

const FRESH: Progress = {
  iteration: 0,
  validated: 0,
  sampler: { epoch: 0, cursor: 0 },
  best: undefined,
  seconds: 0,
};

/**
 * One sitting of a training run: everything that its loop works on, made once, and how it is saved.
 * Opening one checks all that can be known before anything is written.
 */
export class TrainSession {
  readonly paths: ReturnType<typeof workDirPaths>;
  readonly model: WeTr;
  readonly optimizer: PolyWarmupAdamW;
  readonly loader: TrainLoader;
  readonly interrupt: Interrupt;
  readonly device: Device;
  readonly log: TrainLog;
  readonly splits: SplitReport;
  progress: Progress;
  /** Iterations done before this sitting. */
  readonly startedWith: number;
  readonly #startedAt: number;
  readonly #configYaml: string;

  /** @throws UsageError for faults of data or checkpoint that show at the start */
  constructor(
    readonly config: Config,
    options: TrainOptions,
  ) {
    const { device, log, resume, sources } = options;
    this.device = device;
    this.log = log;
    this.paths = workDirPaths(config);
    this.splits = checkData(config);
    setupSeed(config.train.seed);

    this.model = buildModel(config, device).train();
    if (!resume) this.#loadPretrained();
    this.optimizer = buildOptimizer(this.model, config);
    this.progress = resume ? this.#resume(resume) : { ...FRESH };
    this.loader = createTrainLoader(config, {
      startPosition: this.progress.sampler,
      onWarning: (message) => log.warn(message),
      onFault: (fault) => log.faulty(fault),
    });

    this.#configYaml = dumpConfig(config);
    writeFileAtomic(this.paths.config, `${provenance()}${dumpConfig(config, sources)}`);
    if (resume) this.progress = keepBest(this.progress, resume, this.paths);
    this.interrupt = new Interrupt();
    this.startedWith = this.progress.iteration;
    this.#startedAt = Date.now() - this.progress.seconds * 1000;
    this.#describeSplits();
    log.start(config, this.loader.dataset, this.progress);
  }

  /** Wall clock of the run, all its sittings together. */
  get seconds(): number {
    return (Date.now() - this.#startedAt) / 1000;
  }

  /** Writes last.pth, from which the run goes on as if it had not stopped. */
  save(): void {
    const sampler = this.loader.position();
    this.progress = { ...this.progress, sampler, seconds: this.seconds, log: this.log.state() };
    saveTraining(this.paths.last, this.model, this.optimizer, this.progress, this.#configYaml);
  }

  /** Ends signals and loader; model and optimizer stay. */
  async close(): Promise<void> {
    this.interrupt.close();
    await this.loader.close();
  }

  dispose(): void {
    this.model.dispose();
    this.optimizer.dispose();
  }

  #describeSplits(): void {
    const { train, val } = this.config;
    this.log.info(splitLine(train.split, this.splits.train));
    this.log.info(splitLine(val.split, this.splits.val));
    const leak = leakage(this.splits);
    if (leak) this.log.warn(leak);
  }

  #loadPretrained(): void {
    const { pretrained } = this.config.backbone;
    const { loaded, message } = loadPretrained(this.model, this.config);
    if (loaded || pretrained === 'none') this.log.info(message);
    else this.log.warn(message);
  }

  #resume(path: string): Progress {
    const { progress, changes } = resumeFrom(path, this.config, this.model, this.optimizer);
    this.log.info(`Resumed from ${path} at iteration ${progress.iteration}`);
    for (const change of changes) this.log.warn(`Not as in ${path}: ${change}`);
    return progress;
  }
}
