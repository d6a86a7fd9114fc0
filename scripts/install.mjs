// npm's install hook. From a packed tarball: nothing when a binary that loads came along (or is left from before),
// else libtorch is found or installed into the package's own .libtorch/ and the addon is built. In a checkout,
// `npm install` does the same by the build stamp. On failure npm shows the message below and ends with an error:
// without its addon the package cannot work.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { addonLoadFault, buildAddon } from './lib/build-addon.mjs';
import { ensureLibtorch } from './lib/install-libtorch.mjs';
import { acquireLock } from './lib/lock.mjs';
import { rebuildCommand } from './lib/rebuild.mjs';
import { step } from './lib/report.mjs';
import { runMain, SetupError } from './lib/run.mjs';
import { nodeFault } from './lib/tools.mjs';
import { packageRoot } from './libtorch.mjs';

/** Objects and the precompiled header: 350 MB that nobody builds on in an installed package. @param {string} root */
function removeIntermediates(root) {
  for (const name of ['CMakeFiles', 'CMakeCache.txt']) {
    rmSync(join(root, 'build', name), { recursive: true, force: true });
  }
}

async function main() {
  const root = packageRoot;
  const fault = nodeFault();
  if (fault) throw new SetupError(fault);
  const isCheckout = existsSync(join(root, 'src'));
  if (!isCheckout && !addonLoadFault(root)) return 0;
  const release = await acquireLock(join(root, 'build/.setup-lock'), ({ pid }) =>
    process.stderr.write(`Another set-up is running here (process ${pid}); waiting for it.\n`),
  );
  try {
    await step('libtorch', (report) => ensureLibtorch(root, report));
    await step('Addon', (report) => buildAddon(root, report));
    if (!isCheckout) removeIntermediates(root);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(
      `medical-afa could not build its native addon.\n${error.message}\nAfter mending it:  ${rebuildCommand(root)}`,
      error.exitCode,
    );
  } finally {
    release();
  }
  return 0;
}

await runMain(main);
