import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type Bindings, differences } from './bindings.js';
import { TorchError } from './torch-error.js';

export type {
  CudaGraphHandle,
  DownloadHandle,
  GroupHandle,
  Operand,
  ReducerHandle,
  TensorHandle,
  WeTrHandle,
} from './bindings/handles.js';
export type { DenseCrf } from './bindings/network.js';
export type { BuildInfo, CudaStatus, RecordedOps } from './bindings/system.js';
export type { Bindings } from './bindings.js';
export { TorchError } from './torch-error.js';

const packageRoot = fileURLToPath(new URL('../../', import.meta.url));

interface NodeGypBuild {
  (dir: string): Partial<Bindings>;
  resolve(dir: string): string;
}

/** An addon that was built from other sources than this JavaScript, and would fail late and obscurely. */
class OtherVersion extends Error {
  constructor(file: string, differences: readonly string[]) {
    const [shown, more] = [differences.slice(0, 3), differences.length - 3];
    super(
      `Expected an addon of the same version as the JavaScript but received ${file}: ` +
        `${shown.join(', ')}${more > 0 ? `, and ${more} more` : ''}.`,
    );
  }
}

function load(): Bindings {
  // OpenMP threads that spin while waiting steal the cores of loader workers and neighbours; both names are
  // read when the library loads, and an explicit setting of the user's wins.
  process.env.OMP_WAIT_POLICY ??= 'PASSIVE';
  // c10d logs each failed attempt to connect with a C++ backtrace; what matters comes as an error all the same.
  process.env.TORCH_CPP_LOG_LEVEL ??= 'FATAL';
  const nodeGypBuild = createRequire(import.meta.url)('node-gyp-build') as NodeGypBuild;
  const addon = nodeGypBuild(packageRoot);
  const faults = differences(addon);
  if (faults.length > 0) throw new OtherVersion(nodeGypBuild.resolve(packageRoot), faults);
  const bindings = addon as Bindings;
  bindings.initialize(TorchError);
  // process.exit() runs libtorch's static destructors at once: a job that still computed on them would crash.
  process.once('exit', () => bindings.finishJobs());
  return bindings;
}

/** Says what is wrong and how to mend it: the addon is not built, of another version, or its libtorch has gone. */
async function explain(cause: unknown): Promise<Error> {
  const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
  const [{ explainSearch }, { rebuildCommand }] = (await Promise.all([
    import(new URL('../../scripts/libtorch.mjs', import.meta.url).href),
    import(new URL('../../scripts/lib/rebuild.mjs', import.meta.url).href),
  ])) as [{ explainSearch(): string }, { rebuildCommand(root: string): string }];
  const lacksLibrary = !(cause instanceof OtherVersion) && /torch|c10/.test(reason ?? '');
  const elsewhere = process.env.MEDICAL_AFA_PREBUILD;
  const lines = [
    `The native addon could not be loaded on ${process.platform}-${process.arch}, Node ${process.versions.node}.`,
    `Reason: ${reason}`,
    ...(lacksLibrary ? [explainSearch()] : []),
    ...(elsewhere
      ? [`It was looked for in MEDICAL_AFA_PREBUILD=${elsewhere}; unset that for this package's own.`]
      : []),
    `Run \`${rebuildCommand(packageRoot)}\` in the medical-afa folder to build it, or \`npm run doctor\` for what is missing.`,
  ];
  return new Error(lines.join('\n'), { cause });
}

/** The addon, loaded once for each JavaScript thread. */
export const native: Bindings = await (async () => {
  try {
    return load();
  } catch (cause) {
    throw await explain(cause);
  }
})();
