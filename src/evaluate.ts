#!/usr/bin/env node
/** node dist/evaluate.js: predicts a split, writes label maps and scores them. */
import './cli/load-faults.js';
import { readEvaluateArguments } from './cli/evaluate-options.js';
import { openCommand } from './cli/open-command.js';
import { runMain } from './cli/run-main.js';
import { workDirPaths } from './config/work-dir.js';
import { scoreTable } from './evaluation/score-table.js';
import { evaluateSplit } from './training/evaluate-split.js';

await runMain(async () => {
  const args = readEvaluateArguments(process.argv.slice(2));
  const opened = await openCommand('evaluate', args);
  if (typeof opened === 'number') return opened;
  const { config, device, team, log } = opened;
  const paths = workDirPaths(config);
  const report = await evaluateSplit(config, {
    device,
    log,
    checkpoint: args.checkpoint ?? paths.best,
    outputDir: args.output_dir,
    overwrite: args.overwrite,
    team,
  });
  if (!report) return 130;
  if (!team.isLead) return 0;
  const { images, reused, outputDir } = report;
  const before = reused > 0 ? `; ${reused} predictions were there already (--overwrite redoes them)` : '';
  log.info(
    '%s',
    `Wrote ${images - reused} predictions to ${outputDir}, scores to ${paths.evaluation}${before}`,
  );
  if (args.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else if (report.masks === 0) process.stdout.write(`No scores: ${Object.values(report.reasons)[0]}.\n`);
  else process.stdout.write(`${scoreTable(report.scores, report.classes)}\n`);
  return 0;
});
