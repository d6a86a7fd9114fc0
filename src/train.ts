#!/usr/bin/env node
/** node dist/train.js: trains, validates, and exports attention maps of the best checkpoint. */
import './cli/load-faults.js';
import { existsSync } from 'node:fs';
import { beginProfile } from './cli/compute-options.js';
import { loadCommandConfig } from './cli/load-config.js';
import { describeFailure, runMain } from './cli/run-main.js';
import { enterTeam } from './cli/team.js';
import { readTrainArguments } from './cli/train-options.js';
import { UsageError } from './config/errors.js';
import type { Config } from './config/schema.js';
import { workDirPaths } from './config/work-dir.js';
import type { SplitReport } from './datasets/split-report.js';
import { claimGpu, readEnvironment } from './distributed/index.js';
import { summaryTable } from './export/summary-table.js';
import { writeReport } from './report/report.js';
import { checkData, checkFirstImage } from './training/check-data.js';
import { getDevice, whyNotCuda } from './training/device.js';
import { exportSplit } from './training/export-split.js';
import { requireGradientBackend } from './training/join-team.js';
import { TrainLog } from './training/log.js';
import { runName, setupLogger } from './training/logging.js';
import { MapDistances } from './training/map-distances.js';
import { requirePretrained } from './training/pretrained.js';
import { train } from './training/train.js';
import { versionsInUse } from './training/versions.js';
import { makeWritable } from './training/work-dir.js';

await runMain(async () => {
  const args = readTrainArguments(process.argv.slice(2));
  const { config, notes, sources } = await loadCommandConfig(args.config);
  const paths = workDirPaths(config);
  const resume = args.resume === true ? paths.last : args.resume;
  if (resume && !existsSync(resume))
    throw new UsageError(`Expected a checkpoint to resume from at ${resume} but there is no such file.`);
  claimGpu();
  const device = getDevice(args.device);
  if (args.nproc_per_node > 1 || readEnvironment()) requireGradientBackend(device, args.backend);
  const openData = async () => {
    const data = checkData(config);
    await checkFirstImage(config, data);
    return data;
  };
  const entered = await enterTeam(args, device, openData);
  if (typeof entered === 'number') return entered;
  const { team } = entered;
  // Before the work directory is touched: a mistyped command leaves nothing behind.
  const data = await openData();
  if (!resume) requirePretrained(config);
  await team.agree(factsOf(config, data.report));
  if (team.isLead) makeFolders(config);
  await team.meet();

  const logFile = team.isLead ? paths.log(runName()) : paths.log(`${runName()}.rank${team.rank}`);
  const logger = setupLogger(team.isLead || args.verbose ? logFile : undefined, {
    verbose: args.verbose,
    silent: !team.isLead,
  });
  const log = new TrainLog(logger, team.isLead ? paths.metrics : undefined);
  const recording = beginProfile(args, 'train', config, team, device);
  for (const note of [...notes, ...entered.notes, ...(recording ? [recording] : [])]) log.info(note);
  log.info(
    `Device: ${device}${args.device ? '' : ' (the best there is; --cpu, --cuda or --mps choose one)'}`,
  );
  const withoutCuda = args.device ? undefined : whyNotCuda(device);
  if (withoutCuda) log.warn(`this build has CUDA, which is not used: ${withoutCuda}`);
  if (!resume && existsSync(paths.last))
    log.warn(
      `${paths.root} holds an earlier run, whose files are replaced; --resume goes on with it instead`,
    );
  try {
    const summary = await train(config, { device, log, team, data, resume, sources });
    await log.stop();
    if (!summary) return 130;
    const distances = new MapDistances(paths.cases);
    const exported = await exportSplit(config, {
      device,
      log: logger,
      checkpoint: paths.best,
      onMap: distances.onMap,
      team,
      overwrite: true,
    });
    if (exported.stopped) return 130;
    await distances.save(team);
    if (!team.isLead) return 0;
    log.info(`Trained for ${Math.round(summary.seconds)} s`);
    const report = await writeReport(config);
    process.stdout.write(`\n${summaryTable(summary, { ...paths, report }, exported)}\n`);
    return 0;
  } catch (error) {
    // The console gets it from runMain; who finds a batch job ended reads the file.
    logger.record('error', describeFailure(error, args.verbose).text);
    throw error;
  } finally {
    await log.stop();
  }
});

/** What processes that train one model must have in common; paths, caches and workers may differ. */
function factsOf(config: Config, { train, val }: SplitReport): Record<string, unknown> {
  const { work_dir: _, dataset, train: settings, ...rest } = config;
  const { root_dir, masks_dir, name_list_dir, cache_bytes, mmap, ...data } = dataset;
  const { num_workers, ...training } = settings;
  return {
    configuration: [rest, data, training],
    'list of training images': train.sha256,
    'list of validation images': val.sha256,
    version: versionsInUse(),
  };
}

function makeFolders(config: Config): void {
  const paths = workDirPaths(config);
  const folders = [paths.root, paths.checkpoints];
  if (config.train.tensorboard.enabled) folders.push(paths.tbLogger);
  for (const folder of folders) makeWritable(folder);
}
