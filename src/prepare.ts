#!/usr/bin/env node
/** node dist/prepare.js: makes datasets, synthetic (`phantom`) or from public data (`nifti`, `voc`, ...). */
import './cli/load-faults.js';
import { runMain } from './cli/run-main.js';
import { prepare } from './prepare/cli.js';
import { StoppedError } from './prepare/coco-command.js';

await runMain(async () => {
  try {
    process.stdout.write(`${await prepare(process.argv.slice(2))}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
});
