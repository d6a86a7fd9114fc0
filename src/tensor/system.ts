import { type BuildInfo, type CudaStatus, native } from '../native/index.js';
import type { RawTensor } from './dtypes.js';
import { type Device, Tensor } from './tensor.js';

/** Seeds libtorch's generators (weights, dropout, drop path). The seed document's setup_seed. */
export function setupSeed(seed: number): void {
  native.manualSeed(seed);
}

/** The generator's state, for exact resume. */
export function getRngState(): RawTensor {
  const state = new Tensor(native.getRngState());
  const out = state.toRaw();
  state.dispose();
  return out;
}

export function setRngState(state: RawTensor): void {
  const tensor = Tensor.fromRaw(state);
  native.setRngState(Tensor.handle(tensor));
  tensor.dispose();
}

export const setNumThreads = (threads: number): void => native.setNumThreads(threads);
export const getNumThreads = (): number => native.getNumThreads();
/**
 * Keeps to ways of computing that give the same bits each time, in all of libtorch. What has none throws a TorchError
 * with code ERR_NOT_DETERMINISTIC: some operations on CUDA.
 */
export const setDeterministic = (value: boolean): void => native.setDeterministic(value);
export const isDeterministic = (): boolean => native.isDeterministic();
/**
 * From here on convolutions on CUDA take the algorithms that cuDNN thinks best, until the function that this returns is
 * called. Elsewhere they are timed, up to ten for each convolution of a new shape: that pays where shapes come again and
 * again, as in training, and would be done anew for each size of image that an evaluation meets.
 */
export function pauseConvolutionTiming(): () => void {
  const before = native.timesConvolutions();
  native.setConvolutionTiming(false);
  return () => native.setConvolutionTiming(before);
}
export const buildInfo = () => native.buildInfo();
export const deviceAvailable = (device: Device): boolean => native.deviceAvailable(device);
/** NVIDIA GPUs that CUDA shows this process; undefined in a build that cannot ask. */
export const gpuCount = (): number | undefined => native.cudaStatus()?.devices.length;

// The words for what keeps CUDA away lie in a script, as doctor needs them before anything is compiled.
const explanation = new URL('../../scripts/lib/cuda-fault.mjs', import.meta.url).href;
const { cudaFault } = (await import(explanation)) as {
  cudaFault(
    info: BuildInfo,
    status: CudaStatus | null,
    options: { index: number; answers: boolean },
  ): { reason: string; fix: string } | undefined;
};

/** Why a device cannot be used and what mends it, or undefined when it can: also a GPU that nothing was built for. */
export function whyUnavailable(device: Device): string | undefined {
  if (device === 'cpu') return undefined;
  if (device === 'mps') {
    if (deviceAvailable(device)) return undefined;
    return buildInfo().mpsLibrary
      ? 'this machine has no Metal device'
      : 'this libtorch was built without MPS (it exists for macOS on Apple silicon)';
  }
  const index = Number(device.split(':')[1] ?? 0);
  const fault = cudaFault(buildInfo(), native.cudaStatus(), { index, answers: deviceAvailable(device) });
  return fault && `${fault.reason}. To mend it: ${fault.fix}`;
}
