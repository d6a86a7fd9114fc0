import type { Config } from '../config/schema.js';
import { TorchError } from '../native/index.js';
import type { Device } from '../tensor/index.js';

/** Memory ran out amid a step: what was asked for, and the settings that need less. */
export class OutOfMemory extends Error {
  override readonly name = 'OutOfMemory';

  /** @param cause libtorch's, which names the allocation that failed: the largest of its step that did not fit */
  constructor(cause: TorchError, iteration: number, config: Config, device: Device) {
    const { samples_per_gpu, accumulate } = config.train;
    const { crop_size } = config.dataset;
    const parts = accumulate > 1 ? `${accumulate} x ${samples_per_gpu}` : samples_per_gpu;
    super(
      `Memory of ${device} ran out in iteration ${iteration}, with batches of ${parts} images and crops of ` +
        `${crop_size} x ${crop_size}. ${allocationIn(cause.message)}\n${nextSetting(config, device)}`,
      { cause },
    );
  }

  /** @returns undefined where `error` is another fault */
  static of(error: unknown, iteration: number, config: Config, device: Device): OutOfMemory | undefined {
    const ranOut = error instanceof TorchError && error.code === 'ERR_OUT_OF_MEMORY';
    return ranOut ? new OutOfMemory(error, iteration, config, device) : undefined;
  }
}

/**
 * The allocation that failed, and what a GPU says of its memory, out of libtorch's message: "Tried to allocate 2.00 GiB.
 * GPU 0 has a total capacity of 79.11 GiB of which 1.20 GiB is free. ..." (CUDACachingAllocator.cpp), or "you tried to
 * allocate 8589934592 bytes" (alloc_cpu.cpp).
 */
function allocationIn(message: string): string {
  const gpu =
    /Tried to allocate ([\d.]+ \w+)\.(?: GPU \d+ has a total capacity of ([\d.]+ \w+) of which ([\d.]+ \w+) is free)?/;
  const [, size, capacity, free] = gpu.exec(message) ?? [];
  if (size) {
    const rest = capacity ? `; of the GPU's ${capacity}, ${free} were free` : '';
    return `The allocation that failed was of ${size}${rest}.`;
  }
  const bytes = /tried to allocate (\d+) bytes/.exec(message)?.[1];
  return bytes
    ? `The allocation that failed was of ${(Number(bytes) / 2 ** 30).toFixed(2)} GiB.`
    : `libtorch: ${message.split('\n', 1)[0]}`; // of the CUDA runtime's, advice for its developers follows
}

/** What needs less memory, the least loss first. */
function nextSetting({ train, dataset }: Config, device: Device): string {
  const { samples_per_gpu: samples, accumulate, amp } = train;
  const settings: string[] = [];
  if (amp === 'none' && device !== 'cpu') settings.push('--amp bf16 (half of most activations)');
  if (samples > 1) {
    const smaller = samples % 2 === 0 ? samples / 2 : 1;
    settings.push(
      `--accumulate ${(accumulate * samples) / smaller} --set train.samples_per_gpu=${smaller} (the same batch in smaller parts)`,
    );
  }
  const crop = Math.floor((dataset.crop_size * 3) / 4 / 32) * 32;
  if (crop >= 64) settings.push(`--crop_size ${crop}`);
  if (device.startsWith('cuda') && train.cuda_graphs === 'auto')
    settings.push('--set train.cuda_graphs=off (graphs of small batches keep memory of their own)');
  if (settings.length === 0) settings.push('a device with more memory, or --set backbone.config=mit_b0');
  return `Next, try ${settings.join(', or ')}. A run that has a last.pth goes on with --resume.`;
}
