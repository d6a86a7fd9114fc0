#!/usr/bin/env node
/** node dist/train.js: trains, validates, and exports attention maps of the best checkpoint. */
import { existsSync } from 'node:fs';
import { loadCommandConfig } from './cli/load-config.js';
import { describeFailure, runMain } from './cli/run-main.js';
import { readTrainArguments } from './cli/train-options.js';
import { UsageError } from './config/errors.js';
import { workDirPaths } from './config/work-dir.js';
import { summaryTable } from './export/summary-table.js';
import { writeReport } from './report/report.js';
import { setNumThreads } from './tensor/index.js';
import { checkData } from './training/check-data.js';
import { getDevice } from './training/device.js';
import { exportSplit } from './training/export-split.js';
import { TrainLog } from './training/log.js';
import { runName, setupLogger } from './training/logging.js';
import { MapDistances } from './training/map-distances.js';
import { requirePretrained } from './training/pretrained.js';
import { train } from './training/train.js';
import { makeWritable } from './training/work-dir.js';

await runMain(async () => {
  const args = readTrainArguments(process.argv.slice(2));
  const { config, notes, sources } = await loadCommandConfig(args.config);
  const device = getDevice(args.device);
  if (args.threads) setNumThreads(args.threads);
  const paths = workDirPaths(config);
  const resume = args.resume === true ? paths.last : args.resume;
  if (resume && !existsSync(resume))
    throw new UsageError(`Expected a checkpoint to resume from at ${resume} but there is no such file.`);
  // Before the work directory is touched: a mistyped command leaves nothing behind.
  checkData(config);
  if (!resume) requirePretrained(config);
  const folders = [paths.root, paths.checkpoints];
  if (config.train.tensorboard.enabled) folders.push(paths.tbLogger);
  for (const folder of folders) makeWritable(folder);

  const logger = setupLogger(paths.log(runName()), { verbose: args.verbose });
  const log = new TrainLog(logger, paths.metrics);
  for (const note of notes) log.info(note);
  log.info(
    `Device: ${device}${args.device ? '' : ' (the best there is; --cpu, --cuda or --mps choose one)'}`,
  );
  if (!resume && existsSync(paths.last))
    log.warn(
      `${paths.root} holds an earlier run, whose files are replaced; --resume goes on with it instead`,
    );
  try {
    const summary = await train(config, { device, log, resume, sources });
    await log.stop();
    if (!summary) return 130;
    const distances = new MapDistances(paths.cases);
    const exported = await exportSplit(config, {
      device,
      log: logger,
      checkpoint: paths.best,
      onMap: distances.onMap,
      overwrite: true,
    });
    if (exported.stopped) return 130;
    distances.save();
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
