import { type CudaGraphHandle, native } from '../native/index.js';
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
}

/**
 * A CUDA graph: hundreds of small kernels launched by one call. A body is first run for real aside, where libtorch chooses
 * algorithms and makes workspaces; what it reads and writes must lie where it lay, and nothing is read on the host.
 */
export class CudaGraph implements Recording {
  readonly #handle: CudaGraphHandle;

  /** Whether work on images [B, 3, H, W] is worth a graph: on a GPU, which waits for the host with batches so small. */
  static pays(images: Tensor): boolean {
    return native.graphsPay(Tensor.handle(images));
  }

  /** @param beside a graph whose memory it shares: the two never run at the same time */
  constructor(device: Device, beside?: CudaGraph) {
    this.#handle = native.cudaGraphCreate(device, beside ? beside.#handle : undefined);
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
}
