import type { PixelImage } from '../datasets/sample.js';

/**
 * Decoded images by sample index, at most `capacity` bytes of pixels. What is in stays in: an epoch comes by every image
 * once, so throwing one out for another gains nothing, and the least recently used would be the next to be asked for.
 */
export class ImageCache {
  readonly #images = new Map<number, PixelImage>();
  readonly #capacity: number;
  #bytes = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Bytes of pixels held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there is room for one more image of the usual size. */
  get hasRoom(): boolean {
    const usual = this.#images.size > 0 ? this.#bytes / this.#images.size : 1;
    return this.#bytes + usual <= this.#capacity;
  }

  get(index: number): PixelImage | undefined {
    return this.#images.get(index);
  }

  /** Keeps `image` if there is room for it. */
  add(index: number, image: PixelImage): void {
    const size = image.data.byteLength;
    if (this.#images.has(index) || this.#bytes + size > this.#capacity) return;
    this.#images.set(index, image);
    this.#bytes += size;
  }
}

/** The same pixels in memory that all threads see: passed between them without a copy. */
export function shared(image: PixelImage): PixelImage {
  const { data } = image;
  if (data.buffer instanceof SharedArrayBuffer) return image;
  const buffer = new SharedArrayBuffer(data.byteLength);
  const copy = data instanceof Uint8Array ? new Uint8Array(buffer) : new Float32Array(buffer);
  copy.set(data);
  return { ...image, data: copy };
}
