#!/usr/bin/env node
/** node dist/prepare.js: makes datasets of slices, synthetic (`phantom`) or from NIfTI volumes (`nifti`). */
import { runMain } from './cli/run-main.js';
import { prepare } from './prepare/cli.js';

await runMain(async () => {
  process.stdout.write(`${await prepare(process.argv.slice(2))}\n`);
});
