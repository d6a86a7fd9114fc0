import { type CudaGraphHandle, native, type WeTrHandle } from '../native/index.js';
import { type Device, Tensor } from './tensor.js';

/** Work that is recorded once and then done again by one call. `CudaGraph` is the one there is outside of tests. */
export interface Recording {
  /** Runs `body` where record() and what leads up to it must run. */
  aside<T>(body: () => T): T;
  /**
   * Records what `body` queues, without doing it: its tensors hold nothing before the first replay().
   * @throws what `body` throws, or why its work cannot be recorded
   */
  record<T>(body: () => T): T;
  /** Does the recorded work, on the tensors that it was recorded with. */
  replay(): void;
  /** Frees it, with its memory. */
  dispose(): void;
}

/**
 * A CUDA graph: hundreds of small kernels launched by one call. A body is first run for real aside, where libtorch chooses
 * algorithms and makes workspaces; what it reads and writes must lie where it lay, and nothing is read on the host.
 */
export class CudaGraph implements Recording {
  readonly #handle: CudaGraphHandle;

  /** Whether work on images [B, 3, H, W] is worth a graph: on a GPU, whose kernels are not so long that the host is ahead. */
  static pays(images: Tensor): boolean {
    return native.graphsPay(Tensor.handle(images));
  }

  /** Whether the GPU has room for what one more graph computes in. */
  static fits(device: Device): boolean {
    return native.graphFits(device);
  }

  /** @param model the handle of one whose graphs, never running at the same time, share their memory */
  constructor(device: Device, model: WeTrHandle) {
    this.#handle = native.cudaGraphCreate(device, model);
  }

  aside<T>(body: () => T): T {
    native.cudaGraphEnter(this.#handle);
    try {
      return body();
    } finally {
      native.cudaGraphLeave(this.#handle);
    }
  }

  record<T>(body: () => T): T {
    native.cudaGraphBegin(this.#handle);
    let out: T;
    try {
      out = body();
    } catch (error) {
      native.cudaGraphAbandon(this.#handle);
      throw error;
    }
    native.cudaGraphEnd(this.#handle);
    return out;
  }

  replay(): void {
    native.cudaGraphReplay(this.#handle);
  }

  dispose(): void {
    native.cudaGraphDispose(this.#handle);
  }
}
