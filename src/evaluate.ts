#!/usr/bin/env node
/** node dist/evaluate.js: predicts a split, writes label maps and scores them. */
import { readEvaluateArguments } from './cli/evaluate-options.js';
import { loadCommandConfig } from './cli/load-config.js';
import { runMain } from './cli/run-main.js';
import { enterTeam } from './cli/team.js';
import { workDirPaths } from './config/work-dir.js';
import { claimGpu } from './distributed/index.js';
import { scoreTable } from './evaluation/score-table.js';
import { getDevice } from './training/device.js';
import { evaluateSplit } from './training/evaluate-split.js';
import { setupLogger } from './training/logging.js';

await runMain(async () => {
  const args = readEvaluateArguments(process.argv.slice(2));
  const { config, notes } = await loadCommandConfig(args.config);
  claimGpu();
  const device = getDevice(args.device);
  const entered = await enterTeam(args, device);
  if (typeof entered === 'number') return entered;
  const { team } = entered;
  const log = setupLogger(undefined, { verbose: args.verbose, silent: !team.isLead });
  for (const note of [...notes, ...entered.notes]) log.info('%s', note);
  const paths = workDirPaths(config);
  const report = await evaluateSplit(config, {
    device,
    log,
    checkpoint: args.checkpoint ?? paths.best,
    outputDir: args.output_dir,
    team,
  });
  if (!report) return 130;
  if (!team.isLead) return 0;
  log.info('%s', `Wrote ${report.images} predictions to ${report.outputDir}, scores to ${paths.evaluation}`);
  if (args.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else if (report.masks === 0) process.stdout.write(`No scores: ${Object.values(report.reasons)[0]}.\n`);
  else process.stdout.write(`${scoreTable(report.scores, report.classes)}\n`);
  return 0;
});
