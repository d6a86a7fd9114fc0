#!/usr/bin/env node
/** npm run gen-attn: exports attention maps from a checkpoint. */
import { readGenAttnArguments } from './cli/gen-attn-options.js';
import { loadCommandConfig } from './cli/load-config.js';
import { runMain } from './cli/run-main.js';
import { enterTeam } from './cli/team.js';
import { workDirPaths } from './config/work-dir.js';
import { claimGpu } from './distributed/index.js';
import { finalCheckpoint } from './training/checkpoints.js';
import { getDevice } from './training/device.js';
import { exportSplit } from './training/export-split.js';
import { setupLogger } from './training/logging.js';

await runMain(async () => {
  const args = readGenAttnArguments(process.argv.slice(2));
  const { config, notes } = await loadCommandConfig(args.config);
  claimGpu();
  const device = getDevice(args.device);
  const entered = await enterTeam(args, device);
  if (typeof entered === 'number') return entered;
  const { team } = entered;
  const log = setupLogger(undefined, { verbose: args.verbose, silent: !team.isLead });
  for (const note of [...notes, ...entered.notes]) log.info('%s', note);
  const paths = workDirPaths(config);
  const result = await exportSplit(config, {
    device,
    log,
    checkpoint: args.checkpoint ?? (args.use_final ? finalCheckpoint(paths.checkpoints) : paths.best),
    outputDir: args.output_dir,
    camNpyDir: args.cam_npy_dir,
    attnNpyDir: args.save_attn ? (args.attn_npy_dir ?? paths.attnNpy) : undefined,
    overwrite: args.overwrite,
    team,
  });
  const skipped =
    result.skipped > 0 ? `; ${result.skipped} were there already (--overwrite redoes them)` : '';
  log.info('%s', `Wrote ${result.written} maps to ${result.outputDir} and ${result.camNpyDir}${skipped}`);
  return result.stopped ? 130 : 0;
});
