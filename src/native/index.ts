import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Bindings } from './bindings.js';
import { TorchError } from './torch-error.js';

export type {
  Bindings,
  BuildInfo,
  CudaGraphHandle,
  CudaStatus,
  DenseCrf,
  DownloadHandle,
  GroupHandle,
  Operand,
  RecordedOps,
  ReducerHandle,
  TensorHandle,
  WeTrHandle,
} from './bindings.js';
export { TorchError } from './torch-error.js';

const packageRoot = fileURLToPath(new URL('../../', import.meta.url));

function load(): Bindings {
  // OpenMP threads that spin while waiting steal the cores of loader workers and neighbours; both names are
  // read when the library loads, and an explicit setting of the user's wins.
  process.env.OMP_WAIT_POLICY ??= 'PASSIVE';
  // c10d logs each failed attempt to connect with a C++ backtrace; what matters comes as an error all the same.
  process.env.TORCH_CPP_LOG_LEVEL ??= 'FATAL';
  const nodeGypBuild = createRequire(import.meta.url)('node-gyp-build') as (dir: string) => Bindings;
  const bindings = nodeGypBuild(packageRoot);
  bindings.initialize(TorchError);
  // process.exit() runs libtorch's static destructors at once: a job that still computed on them would crash.
  process.once('exit', () => bindings.finishJobs());
  return bindings;
}

/** Says what is wrong and how to mend it: the addon is not built, or its libtorch has gone. */
async function explain(cause: unknown): Promise<Error> {
  const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
  const discovery = new URL('../../scripts/libtorch.mjs', import.meta.url).href;
  const { explainSearch } = (await import(discovery)) as { explainSearch(): string };
  return new Error(
    `The native addon could not be loaded on ${process.platform}-${process.arch}, Node ${process.versions.node}.\n` +
      `Reason: ${reason}\n${/torch|c10/.test(reason ?? '') ? `${explainSearch()}\n` : ''}` +
      'Run `npm run setup` in the medical-afa folder to build it, or `npm run doctor` for what is missing.',
    { cause },
  );
}

/** The addon, loaded once for each JavaScript thread. */
export const native: Bindings = await (async () => {
  try {
    return load();
  } catch (cause) {
    throw await explain(cause);
  }
})();
