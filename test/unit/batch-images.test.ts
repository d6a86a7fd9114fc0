import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PixelImage } from '../../src/datasets/sample.js';
import type { BatchPixels } from '../../src/loading/batch.js';
import { batchImages } from '../../src/loading/batch-images.js';
import { batchRgb, packPixels } from '../../src/loading/batch-pixels.js';
import { hashSeed, Random } from '../../src/loading/random.js';
import type { Placed } from '../../src/loading/transforms.js';
import { IMAGE_MEAN, IMAGE_STD } from '../../src/tensor/image-statistics.js';

interface Case {
  images: Placed[];
  height: number;
  width: number;
}

/** Whole bytes, or floats on and off their scale. */
function randomImage(random: Random, height: number, width: number, channels: 1 | 3, bytes: boolean) {
  const length = height * width * channels;
  const data = bytes
    ? Uint8Array.from({ length }, () => random.below(256))
    : Float32Array.from({ length }, () => random.uniform(-500, 1500));
  return { data, height, width, channels } as PixelImage;
}

/** Images, each somewhere in a crop. */
function placedIn(height: number, width: number, kinds: readonly string[], seed: number): Placed[] {
  const random = new Random(hashSeed('placed', seed));
  return kinds.map((kind) => {
    const [y0, x0] = [random.below(height), random.below(width)];
    const [y1, x1] = [y0 + 1 + random.below(height - y0), x0 + 1 + random.below(width - x0)];
    const channels = kind.includes('grey') ? 1 : 3;
    const image = randomImage(random, y1 - y0, x1 - x0, channels, !kind.includes('floats'));
    return { image, box: { y0, y1, x0, x1 }, mirrored: random.next() < 0.5 };
  });
}

const cases = (kinds: readonly string[]) =>
  fc
    .record({
      height: fc.integer({ min: 1, max: 40 }),
      width: fc.integer({ min: 1, max: 40 }),
      kinds: fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 5 }),
      seed: fc.integer(),
    })
    .map(({ height, width, kinds: chosen, seed }): Case => {
      return { images: placedIn(height, width, chosen, seed), height, width };
    });

/** Value of channel c at (y, x) of the crop, by what mirroring and padding mean. */
function valueAt({ image, box, mirrored }: Placed, c: number, y: number, x: number): number {
  if (y < box.y0 || y >= box.y1 || x < box.x0 || x >= box.x1) return 0;
  const column = mirrored ? box.x1 - 1 - x : x - box.x0;
  const pixel = (y - box.y0) * image.width + column;
  return image.channels === 1 ? image.data[pixel]! : image.data[3 * pixel + c]!;
}

/** normalize_img of the original, in double, rounded to float32 once: [B, 3, H, W]. */
function oracle({ images, height, width }: Case): Float32Array {
  const out: number[] = [];
  for (const image of images)
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          out.push(Math.fround((valueAt(image, c, y, x) - IMAGE_MEAN[c]!) / IMAGE_STD[c]!));
  return Float32Array.from(out);
}

function seen({ images, height, width }: Case): {
  pixels: BatchPixels;
  values: Float32Array;
  shape: unknown;
} {
  const pixels = packPixels(images, height, width);
  using tensor = batchImages({ pixels, height, width });
  return { pixels, values: tensor.toFloat32(), shape: tensor.shape };
}

describe('batchImages', () => {
  it.each([
    { kinds: ['grey'], kind: 'bytes', channels: 1 },
    { kinds: ['colour'], kind: 'bytes', channels: 3 },
    { kinds: ['grey', 'colour'], kind: 'bytes', channels: undefined },
    { kinds: ['grey floats', 'colour floats'], kind: 'floats', channels: undefined },
    { kinds: ['grey', 'colour', 'grey floats', 'colour floats'], kind: undefined, channels: undefined },
  ])('is normalisation in double, mirrored and padded, of $kinds', ({ kinds, kind, channels }) => {
    fc.assert(
      fc.property(cases(kinds), (one) => {
        const { pixels, values, shape } = seen(one);
        expect(shape).toEqual([one.images.length, 3, one.height, one.width]);
        expect(values).toEqual(oracle(one));
        const bytes = one.images.every(({ image }) => image.data instanceof Uint8Array);
        expect(pixels.kind).toBe(kind ?? (bytes ? 'bytes' : 'floats'));
        if (pixels.kind === 'floats') return;
        const grey = one.images.every(({ image }) => image.channels === 1);
        expect(pixels.channels).toBe(channels ?? (grey ? 1 : 3));
        expect(pixels.data.length).toBe(one.images.length * one.height * one.width * pixels.channels);
      }),
    );
  });

  it('knows every byte in every channel', () => {
    const data = Uint8Array.from({ length: 256 }, (_, i) => i);
    const box = { y0: 0, y1: 16, x0: 0, x1: 16 };
    const image: PixelImage = { data, height: 16, width: 16, channels: 1 };
    const one: Case = { images: [{ image, box, mirrored: false }], height: 16, width: 16 };
    expect(seen(one).values).toEqual(oracle(one));
  });

  it('shares a large batch among threads', () => {
    const one: Case = {
      images: placedIn(101, 99, ['grey', 'colour', 'grey', 'colour'], 5),
      height: 101,
      width: 99,
    };
    expect(seen(one).values).toEqual(oracle(one));
  });

  it.each<[string, unknown, string]>([
    [
      'pixels of an older kind',
      undefined,
      "Expected pixels of kind 'bytes' or 'floats' for batch.pixels but",
    ],
    [
      'bytes that are too few',
      { kind: 'bytes', data: new Uint8Array(11), channels: 3, mirrored: new Uint8Array(1) },
      'Expected 12 bytes of pixels for this shape but received 11',
    ],
    [
      'flags of no image',
      { kind: 'bytes', data: new Uint8Array(0), channels: 1, mirrored: new Uint8Array(0) },
      "Expected [B, H, W, 1] or [B, H, W, 3] for argument 'shape' of normalizeBytes() but received [0, 2, 2, 1]",
    ],
    [
      'another number of channels',
      { kind: 'bytes', data: new Uint8Array(16), channels: 4, mirrored: new Uint8Array(1) },
      'but received [1, 2, 2, 4]',
    ],
    [
      'floats that are too many',
      { kind: 'floats', data: new Float32Array(13) },
      'bytes of data for this shape',
    ],
  ])('refuses %s', (_, pixels, message) => {
    expect(() => batchImages({ pixels: pixels as BatchPixels, height: 2, width: 2 })).toThrow(message);
  });
});

describe('batchRgb', () => {
  it.each([
    // Bytes are what they were.
    { kinds: ['grey', 'colour'], within: 0 },
    // Floats are rounded, after they were normalised and back.
    { kinds: ['grey', 'colour', 'grey floats', 'colour floats'], within: 0.501 },
  ])('is each image as shown, in bytes: $kinds', ({ kinds, within }) => {
    fc.assert(
      fc.property(cases(kinds), ({ images, height, width }) => {
        const pixels = packPixels(images, height, width);
        for (const [b, image] of images.entries()) {
          const rgb = batchRgb({ pixels, height, width }, b);
          expect(rgb).toHaveLength(height * width * 3);
          for (const [i, byte] of rgb.entries()) {
            const p = Math.floor(i / 3);
            const value = valueAt(image, i % 3, Math.floor(p / width), p % width);
            const difference = Math.abs(Math.min(255, Math.max(0, value)) - byte);
            if (difference > within) expect.unreachable(`${value} became ${byte}`);
          }
        }
      }),
    );
  });
});
