import { type DownloadHandle, native } from '../native/index.js';
import { Tensor } from './tensor.js';

/**
 * A tensor's values on their way to the host, as they are once all work queued so far is done. Later work can be queued
 * meanwhile: take() does not wait for it.
 */
export class Download {
  readonly #handle: DownloadHandle;

  constructor(tensor: Tensor) {
    this.#handle = native.download(Tensor.handle(tensor));
  }

  /** The values as numbers; waits for the work that they come from. */
  take(): number[] {
    const host = new Tensor(native.downloadTake(this.#handle));
    try {
      return Array.from(host.data() as ArrayLike<number>, Number);
    } finally {
      host.dispose();
    }
  }
}
