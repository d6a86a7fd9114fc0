#!/usr/bin/env node
/** npm run gen-attn: exports attention maps from a checkpoint. */
import './cli/load-faults.js';
import { readGenAttnArguments } from './cli/gen-attn-options.js';
import { openCommand } from './cli/open-command.js';
import { runMain } from './cli/run-main.js';
import { workDirPaths } from './config/work-dir.js';
import { finalCheckpoint } from './training/checkpoints.js';
import { exportSplit } from './training/export-split.js';

await runMain(async () => {
  const args = readGenAttnArguments(process.argv.slice(2));
  const opened = await openCommand('gen-attn', args);
  if (typeof opened === 'number') return opened;
  const { config, device, team, log } = opened;
  const paths = workDirPaths(config);
  const attnNpyDir = args.save_attn ? (args.attn_npy_dir ?? paths.attnNpy) : undefined;
  const result = await exportSplit(config, {
    device,
    log,
    checkpoint: args.checkpoint ?? (args.use_final ? finalCheckpoint(paths.checkpoints) : paths.best),
    outputDir: args.output_dir,
    camNpyDir: args.cam_npy_dir,
    attnNpyDir,
    overwrite: args.overwrite,
    team,
  });
  const skipped =
    result.skipped > 0 ? `; ${result.skipped} were there already (--overwrite redoes them)` : '';
  const { outputDir, camNpyDir } = result;
  const folders = attnNpyDir
    ? `${outputDir}, ${camNpyDir} and, raw attention, ${attnNpyDir}`
    : `${outputDir} and ${camNpyDir}`;
  log.info('%s', `Wrote ${result.written} maps to ${folders}${skipped}`);
  return result.stopped ? 130 : 0;
});
