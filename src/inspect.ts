#!/usr/bin/env node
/** node dist/inspect.js: what is in a dataset, before training. */
import './cli/load-faults.js';
import { readInspectArguments } from './cli/inspect-options.js';
import { loadCommandConfig } from './cli/load-config.js';
import { runMain } from './cli/run-main.js';
import { inspect } from './inspection/inspect.js';
import { inspectionText } from './inspection/text.js';
import { setupLogger } from './training/logging.js';
import { createProgress } from './training/progress.js';

/** Images between two looks at the event loop, so that Ctrl-C and the bar get their turn. */
const BREATH = 16;

await runMain(async () => {
  const args = readInspectArguments(process.argv.slice(2));
  const { config, notes } = await loadCommandConfig(args.config);
  const log = setupLogger(undefined, { verbose: args.verbose });
  for (const note of notes) log.info('%s', note);
  let progress: ReturnType<typeof createProgress> | undefined;
  try {
    const found = await inspect(config, async (done, total) => {
      progress ??= createProgress({ label: 'Reading', total, logger: log });
      progress.update(done);
      if (done % BREATH === 0) await new Promise((resolve) => setImmediate(resolve));
    });
    progress?.stop();
    process.stdout.write(`${args.json ? JSON.stringify(found, null, 2) : inspectionText(found)}\n`);
  } finally {
    progress?.stop();
  }
});
