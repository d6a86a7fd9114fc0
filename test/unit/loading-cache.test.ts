import { describe, expect, it } from 'vitest';
import type { PixelImage } from '../../src/datasets/sample.js';
import { ImageCache } from '../../src/loading/image-cache.js';

const image = (bytes: number): PixelImage => ({
  data: new Uint8Array(bytes),
  height: 1,
  width: bytes,
  channels: 1,
});

describe('ImageCache', () => {
  it('drops the least recently used when it is full', () => {
    const cache = new ImageCache(30);
    const images = [image(10), image(10), image(10), image(10)];
    for (const i of [0, 1, 2]) cache.set(i, images[i]!);
    expect(cache.get(0)).toBe(images[0]);
    cache.set(3, images[3]!);
    expect([0, 1, 2, 3].map((i) => cache.get(i))).toEqual([images[0], undefined, images[2], images[3]]);
    expect(cache.bytes).toBe(30);
  });

  it('counts bytes of pixels, whatever their type, and replaces an entry', () => {
    const cache = new ImageCache(100);
    cache.set(0, { data: new Float32Array(10), height: 2, width: 5, channels: 1 });
    expect(cache.bytes).toBe(40);
    cache.set(0, image(7));
    expect(cache.bytes).toBe(7);
  });

  it('keeps nothing that is larger than itself, and nothing at all with 0 bytes', () => {
    const cache = new ImageCache(5);
    cache.set(0, image(3));
    cache.set(1, image(6));
    expect([cache.get(0) !== undefined, cache.get(1)]).toEqual([true, undefined]);
    const none = new ImageCache(0);
    none.set(0, image(1));
    expect([none.get(0), none.bytes]).toEqual([undefined, 0]);
  });
});
