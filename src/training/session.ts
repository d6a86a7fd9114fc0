import { dumpConfig } from '../config/resolve.js';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import type { Dataset } from '../datasets/dataset.js';
import { leakage, type SplitReport, splitLine } from '../datasets/split-report.js';
import { Ddp, Team } from '../distributed/index.js';
import { writeFileAtomic } from '../io/atomic.js';
import { createTrainLoader, type TrainLoader } from '../loading/loader.js';
import { hashSeed } from '../loading/random.js';
import type { WeTr } from '../models/wetr.js';
import type { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import { stage } from '../profile/index.js';
import { type Device, getNumThreads, getRngState, type RawTensor, setupSeed } from '../tensor/index.js';
import { type CheckedData, checkData } from './check-data.js';
import { type Progress, saveTraining } from './checkpoints.js';
import type { Saved } from './faults.js';
import { Interrupt } from './interrupt.js';
import type { TrainLog } from './log.js';
import { loadPretrained } from './pretrained.js';
import { keepBest, resumeFrom } from './resume.js';
import { buildModel, buildOptimizer } from './setup.js';
import { versionsInUse } from './versions.js';

export interface TrainOptions {
  device: Device;
  log: TrainLog;
  /** The processes that train together. Default: this one alone. */
  team?: Team;
  /** What `checkData` gave for this configuration. Default: it is asked here. */
  data?: CheckedData;
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

/** The random stream of one process from an iteration on: drop path and dropout differ between processes. */
const streamSeed = (seed: number, iteration: number, rank: number): number =>
  hashSeed(seed, 'stream', iteration, rank)[0];

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
  /** The validation split, opened. */
  readonly validation: Dataset;
  readonly team: Team;
  /** Averages gradients over the team; of a team of one there is none. */
  ddp: Ddp | undefined;
  progress: Progress;
  /** What --resume would go on from, as far as this process knows. */
  saved: Saved | undefined;
  /** Iterations done before this sitting. */
  readonly startedWith: number;
  readonly #startedAt: number;
  readonly #configYaml: string;
  /** Whether the random state is that of an earlier session. */
  #exact = false;

  /** @throws UsageError for faults of data or checkpoint that show at the start */
  constructor(
    readonly config: Config,
    options: TrainOptions,
  ) {
    const { device, log, resume, sources, team = new Team(), data = checkData(config) } = options;
    this.team = team;
    this.device = device;
    this.log = log;
    this.paths = workDirPaths(config);
    this.splits = data.report;
    this.validation = data.val;
    setupSeed(config.train.seed);

    this.model = buildModel(config, device).train();
    if (!resume) this.#loadPretrained();
    this.optimizer = buildOptimizer(this.model, config);
    this.progress = resume ? this.#resume(resume) : { ...FRESH };
    this.loader = createTrainLoader(config, {
      opened: data.train,
      startPosition: this.progress.sampler,
      rank: team.rank,
      worldSize: team.size,
      onWarning: (message) => log.warn(message),
      onFault: (fault) => log.faulty(fault),
    });

    this.#configYaml = dumpConfig(config);
    if (team.isLead) writeFileAtomic(this.paths.config, `${provenance()}${dumpConfig(config, sources)}`);
    if (resume) this.progress = keepBest(this.progress, resume, this.paths, team.isLead);
    this.interrupt = team.isLead ? new Interrupt() : new Interrupt('');
    this.startedWith = this.progress.iteration;
    if (resume) this.saved = { iteration: this.startedWith, path: resume };
    this.#startedAt = Date.now() - this.progress.seconds * 1000;
    this.#describeSplits();
    log.start(config, this.loader.dataset, this.progress);
  }

  /** Wall clock of the run, all its sittings together. */
  get seconds(): number {
    return (Date.now() - this.#startedAt) / 1000;
  }

  /** Joins this process's model with the team's: all get the lead's weights, and each its own random stream. */
  async join(): Promise<void> {
    const { team, model, config, progress } = this;
    if (!team.group) return;
    this.ddp = await Ddp.create(model, team.group, {
      gradientCompression: config.train.gradient_compression,
    });
    if (!this.#exact) setupSeed(streamSeed(config.train.seed, progress.iteration, team.rank));
  }

  /** Writes last.pth, from which the run goes on as if it had not stopped. All of the team call it. */
  async save(): Promise<void> {
    const own = getRngState();
    const states = await this.team.gather(Buffer.from(own.data).toString('base64'));
    this.saveAlone(states.map((state) => ({ ...own, data: new Uint8Array(Buffer.from(state, 'base64')) })));
    this.saved = { iteration: this.progress.iteration, path: this.paths.last };
  }

  /** As save(), when the others of the team may be gone: their random streams will be new ones. */
  saveAlone(rngs?: readonly RawTensor[]): void {
    const sampler = this.loader.position();
    this.progress = { ...this.progress, sampler, seconds: this.seconds, log: this.log.state() };
    if (!this.team.isLead) return;
    stage('save last.pth', () =>
      saveTraining(this.paths.last, this.model, this.optimizer, this.progress, this.#configYaml, rngs),
    );
    this.saved = { iteration: this.progress.iteration, path: this.paths.last };
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
    const { progress, changes, exact } = resumeFrom(path, this.config, this.model, this.optimizer, this.team);
    this.#exact = exact;
    this.log.info(`Resumed from ${path} at iteration ${progress.iteration}`);
    if (!exact) {
      setupSeed(streamSeed(this.config.train.seed, progress.iteration, this.team.rank));
      this.log.warn(`${path} is of another number of processes: drop path and dropout draw from new streams`);
    }
    for (const change of changes) this.log.warn(`Not as in ${path}: ${change}`);
    return progress;
  }
}
