#!/usr/bin/env node
/** node dist/prepare.js: makes datasets, synthetic (`phantom`) or from public data (`nifti`, `voc`, ...). */
import { runMain } from './cli/run-main.js';
import { prepare } from './prepare/cli.js';

await runMain(async () => {
  process.stdout.write(`${await prepare(process.argv.slice(2))}\n`);
});
