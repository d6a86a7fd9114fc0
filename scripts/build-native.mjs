// `npm run build:native`: the addon alone, from the sources and the libtorch that are there.
import { join } from 'node:path';
import { buildAddon } from './lib/build-addon.mjs';
import { acquireLock } from './lib/lock.mjs';
import { step } from './lib/report.mjs';
import { runMain } from './lib/run.mjs';
import { packageRoot } from './libtorch.mjs';

await runMain(async () => {
  const release = await acquireLock(join(packageRoot, 'build/.setup-lock'), ({ pid }) =>
    process.stderr.write(`A set-up is running here (process ${pid}); waiting for it.\n`),
  );
  try {
    await step('Addon', (report) => buildAddon(packageRoot, report));
  } finally {
    release();
  }
  return 0;
});
