/** Memory that runs out in training: the message for people. The texts are libtorch's own. */
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/schema.js';
import { TorchError } from '../../src/native/index.js';
import { Tensor } from '../../src/tensor/index.js';
import { OutOfMemory } from '../../src/training/out-of-memory.js';
import { caught } from '../native/support.js';

/** c10/cuda/CUDACachingAllocator.cpp of libtorch 2.13, with numbers. */
const CUDA =
  'CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 139.80 GiB of which 1.56 GiB is free. ' +
  'Including non-PyTorch memory, this process has 138.22 GiB memory in use. Of the allocated memory 136.01 GiB is ' +
  'allocated by PyTorch, and 1.02 GiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is ' +
  'large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.';

function config(samples: number, accumulate: number, crop: number, amp = 'none'): Config {
  return { dataset: { crop_size: crop }, train: { samples_per_gpu: samples, accumulate, amp } } as Config;
}
const wrap = (message: string, ...rest: [Config, 'cpu' | 'cuda']) =>
  OutOfMemory.of(new TorchError(message, 'ERR_OUT_OF_MEMORY', 'backward'), 12, ...rest)!.message;

describe('OutOfMemory', () => {
  it('names device, iteration, batch, crop and the allocation, and what needs less', () => {
    expect(wrap(CUDA, config(128, 1, 512), 'cuda')).toBe(
      'Memory of cuda ran out in iteration 12, with batches of 128 images and crops of 512 x 512. ' +
        "The allocation that failed was of 2.25 GiB; of the GPU's 139.80 GiB, 1.56 GiB were free.\n" +
        'Next, try --amp bf16 (half of most activations), or --accumulate 2 --set train.samples_per_gpu=64 ' +
        '(the same batch in smaller parts), or --crop_size 384. ' +
        'A run that has a last.pth goes on with --resume.',
    );
  });

  it('suggests only what is not set already and leaves the batch whole', () => {
    const message = wrap(CUDA, config(3, 4, 64, 'bf16'), 'cuda');
    expect(message).toContain('batches of 4 x 3 images');
    expect(message).toContain('try --accumulate 12 --set train.samples_per_gpu=1 (');
    expect(message).not.toMatch(/--amp|--crop_size/);
    expect(wrap(CUDA, config(1, 4, 320), 'cpu')).toContain('try --crop_size 224.');
  });

  it('suggests to do without graphs on a GPU alone, and another device where all else is at its least', () => {
    const least = config(1, 1, 64, 'bf16');
    const graphs = { ...least, train: { ...least.train, cuda_graphs: 'auto' } } as Config;
    expect(wrap(CUDA, graphs, 'cuda')).toContain('Next, try --set train.cuda_graphs=off (');
    expect(wrap(CUDA, graphs, 'cpu')).toContain(
      'Next, try a device with more memory, or --set backbone.config=mit_b0.',
    );
  });

  it("reads the CPU allocator's own words", () => {
    // A petabyte: no machine gives it, so this is the real error.
    const error = caught(() => Tensor.zeros([2 ** 40, 256])) as TorchError;
    expect(error.code).toBe('ERR_OUT_OF_MEMORY');
    const { message } = OutOfMemory.of(error, 1, config(2, 1, 320), 'cpu')!;
    expect(message).toContain('The allocation that failed was of 1048576.00 GiB.');
  });

  it('says in a line what the CUDA runtime says in a paragraph', () => {
    // c10/cuda/CUDAException.cpp: the error, then what libtorch advises its developers.
    const runtime =
      "CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in https://docs.nvidia.com\nCompile with " +
      '`TORCH_USE_CUDA_DSA` to enable device-side assertions.';
    expect(wrap(runtime, config(1, 1, 320), 'cuda').split('\n')).toEqual([
      expect.stringMatching(/ 320 x 320\. libtorch: backward\(\): CUDA error: out of memory$/),
      expect.stringMatching(/^Next, try /),
    ]);
  });

  it('leaves other faults alone', () => {
    const other = new TorchError('no', 'ERR_TORCH', 'add');
    expect(OutOfMemory.of(other, 1, config(1, 1, 64), 'cpu')).toBeUndefined();
    expect(OutOfMemory.of(new Error('out of memory'), 1, config(1, 1, 64), 'cpu')).toBeUndefined();
  });
});
