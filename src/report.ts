#!/usr/bin/env node
import { loadCommandConfig } from './cli/load-config.js';
/** node dist/report.js: the report of a finished run. */
import { readReportArguments } from './cli/report-options.js';
import { runMain } from './cli/run-main.js';
import { writeReport } from './report/report.js';

await runMain(async () => {
  const args = readReportArguments(process.argv.slice(2));
  const { config } = await loadCommandConfig(args.config);
  const path = await writeReport(config, { output: args.output, mapsDir: args.maps_dir });
  process.stdout.write(`${path}\n`);
});
