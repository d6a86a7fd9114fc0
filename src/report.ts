#!/usr/bin/env node
/** node dist/report.js: the report of a finished run, on its validation split or on another. */
import './cli/load-faults.js';
import { loadCommandConfig } from './cli/load-config.js';
import { readReportArguments } from './cli/report-options.js';
import { runMain } from './cli/run-main.js';
import { writeReport } from './report/report.js';
import { scoreSplit } from './report/score-split.js';
import { setNumThreads } from './tensor/index.js';
import { getDevice } from './training/device.js';
import { setupLogger } from './training/logging.js';

await runMain(async () => {
  const args = readReportArguments(process.argv.slice(2));
  const { config } = await loadCommandConfig(args.config);
  const { split = config.val.split, output, maps_dir: mapsDir } = args;
  const log = setupLogger(undefined, { verbose: args.verbose });
  if (args.threads !== undefined) setNumThreads(args.threads);
  if (
    split !== config.val.split &&
    !(await scoreSplit(config, split, { device: getDevice(args.device), log }))
  )
    return 130;
  process.stdout.write(`${await writeReport(config, { split, output, mapsDir })}\n`);
  return 0;
});
