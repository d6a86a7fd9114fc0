import { native } from '../native/index.js';
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
export function setDeterministic(value: boolean): void {
  // cuBLAS is deterministic with a workspace of its own for each stream; it reads this when it starts.
  if (value) process.env.CUBLAS_WORKSPACE_CONFIG ??= ':4096:8';
  native.setDeterministic(value);
}
export const isDeterministic = (): boolean => native.isDeterministic();
export const buildInfo = () => native.buildInfo();
export const deviceAvailable = (device: Device): boolean => native.deviceAvailable(device);

/** Why a device cannot be used, in a sentence, or undefined when it can. */
export function whyUnavailable(device: Device): string | undefined {
  if (deviceAvailable(device)) return undefined;
  const info = buildInfo();
  if (device === 'mps')
    return info.mpsLibrary
      ? 'this machine has no Metal device'
      : 'this libtorch was built without MPS (it exists for macOS on Apple silicon)';
  if (!info.cudaLibrary)
    return 'this libtorch was built without CUDA; set LIBTORCH to a CUDA build and run `npm run setup`';
  return `libtorch has CUDA but finds no such device (${device}); check the driver with nvidia-smi`;
}
