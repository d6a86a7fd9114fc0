import { UsageError } from '../config/errors.js';
import { buildInfo, type Device, deviceAvailable, whyUnavailable } from '../tensor/index.js';

/** There, and of an architecture that this build has code for. */
const usable = (device: Device) => deviceAvailable(device) && !whyUnavailable(device);

/**
 * The device to compute on: the one asked for, or the best there is (CUDA, then MPS, then CPU). Seed: get_device.
 * @throws UsageError that says why the asked-for device is not there
 */
export function getDevice(asked?: Device): Device {
  if (!asked) return (['cuda', 'mps'] as const).find(usable) ?? 'cpu';
  const reason = whyUnavailable(asked);
  if (reason)
    throw new UsageError(
      `Expected device '${asked}' but ${reason}. Or leave the flag out for the best device there is, or use --cpu.`,
    );
  return asked;
}

/** Why a build with CUDA ends up on another device though none was asked for; undefined for a CPU build. */
export function whyNotCuda(device: Device): string | undefined {
  return device !== 'cuda' && buildInfo().cudaLibrary ? whyUnavailable('cuda') : undefined;
}
