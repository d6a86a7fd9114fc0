import { describe, expect, it } from 'vitest';
import type { PixelImage } from '../../src/datasets/sample.js';
import { ImageCache, shared } from '../../src/loading/image-cache.js';

const image = (bytes: number): PixelImage => ({
  data: new Uint8Array(bytes),
  height: 1,
  width: bytes,
  channels: 1,
});

describe('ImageCache', () => {
  it('keeps what comes first until it is full, and throws nothing out', () => {
    const cache = new ImageCache(35);
    const images = [image(10), image(10), image(10), image(10), image(5)];
    const room = images.map((one, i) => {
      cache.add(i, one);
      return cache.hasRoom;
    });
    expect(images.map((_, i) => cache.get(i))).toEqual([...images.slice(0, 3), undefined, images[4]]);
    expect(room).toEqual([true, true, false, false, false]);
    expect(cache.bytes).toBe(35);
  });

  it('counts bytes of pixels, whatever their type, and each image once', () => {
    const cache = new ImageCache(100);
    const grey: PixelImage = { data: new Float32Array(10), height: 2, width: 5, channels: 1 };
    cache.add(0, grey);
    cache.add(0, image(7));
    expect([cache.bytes, cache.get(0)]).toEqual([40, grey]);
  });

  it('keeps nothing that is larger than itself, and nothing at all with 0 bytes', () => {
    const cache = new ImageCache(5);
    cache.add(1, image(6));
    expect([cache.hasRoom, cache.get(1)]).toEqual([true, undefined]);
    const none = new ImageCache(0);
    none.add(0, image(1));
    expect([none.hasRoom, none.get(0), none.bytes]).toEqual([false, undefined, 0]);
  });
});

describe('shared', () => {
  it.each([Uint8Array.of(1, 2, 255), Float32Array.of(0.5, -1, 300)])('copies pixels once: %s', (data) => {
    const copy = shared({ data, height: 1, width: 3, channels: 1 });
    expect(copy.data.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(copy).toEqual({ data, height: 1, width: 3, channels: 1 });
    expect(shared(copy)).toBe(copy);
  });
});
