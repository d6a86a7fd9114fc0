import type { PixelImage } from '../datasets/sample.js';

/** Decoded images by sample index, at most `capacity` bytes of pixels; the least recently used go first. */
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

  get(index: number): PixelImage | undefined {
    const image = this.#images.get(index);
    if (image) {
      // A Map iterates in order of insertion: re-inserted, the entry counts as the newest.
      this.#images.delete(index);
      this.#images.set(index, image);
    }
    return image;
  }

  /** Keeps `image`, unless it alone is larger than the cache. */
  set(index: number, image: PixelImage): void {
    const size = image.data.byteLength;
    if (size > this.#capacity) return;
    this.#remove(index);
    this.#images.set(index, image);
    this.#bytes += size;
    for (const oldest of this.#images.keys()) {
      if (this.#bytes <= this.#capacity) break;
      this.#remove(oldest);
    }
  }

  #remove(index: number): void {
    const image = this.#images.get(index);
    if (!image) return;
    this.#images.delete(index);
    this.#bytes -= image.data.byteLength;
  }
}
