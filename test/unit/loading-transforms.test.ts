import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PixelImage } from '../../src/datasets/sample.js';
import { batchImages } from '../../src/loading/batch-images.js';
import { packPixels } from '../../src/loading/batch-pixels.js';
import { hashSeed, Random } from '../../src/loading/random.js';
import { rescale } from '../../src/loading/rescale.js';
import { type Augmentation, augment, drawAugmentation, imageBox } from '../../src/loading/transforms.js';
import { IMAGE_MEAN, IMAGE_STD } from '../../src/tensor/image-statistics.js';
import { findPython, runPython } from '../oracles/python.js';

function randomImage(height: number, width: number, channels: 1 | 3, seed: number): PixelImage {
  const random = new Random(hashSeed('image', seed));
  const data = Uint8Array.from({ length: height * width * channels }, () => random.below(256));
  return { data, height, width, channels } as PixelImage;
}

/** One random case: an image and an augmentation of it. */
const cases = fc
  .record({
    height: fc.integer({ min: 1, max: 60 }),
    width: fc.integer({ min: 1, max: 60 }),
    cropSize: fc.integer({ min: 1, max: 70 }),
    channels: fc.constantFrom<1 | 3>(1, 3),
    seed: fc.integer(),
  })
  .map(({ height, width, cropSize, channels, seed }) => {
    const random = new Random(hashSeed(seed));
    const augmentation = drawAugmentation(random, height, width, { cropSize, rescaleRange: [0.5, 2] });
    return { image: randomImage(height, width, channels, seed), augmentation, cropSize };
  });

/** The crop as the network sees it. */
function apply(image: PixelImage, augmentation: Augmentation, cropSize: number) {
  const placed = augment(image, augmentation, cropSize);
  const pixels = packPixels([placed], cropSize, cropSize);
  using images = batchImages({ pixels, height: cropSize, width: cropSize });
  return { box: placed.box, out: images.toFloat32() };
}

/** The original's way, pixel by pixel: rescale, flip, pad with zeros, crop, then normalise. */
function stepByStep(image: PixelImage, a: Augmentation, cropSize: number): Float32Array {
  const scaled = rescale(image, a.height, a.width);
  const channels = image.channels ?? 3;
  const plane = cropSize * cropSize;
  const crop = new Float32Array(3 * plane);
  for (let y = 0; y < cropSize; y++) {
    for (let x = 0; x < cropSize; x++) {
      const sy = y + a.cropTop - a.padTop;
      const sx = x + a.cropLeft - a.padLeft;
      const inside = sy >= 0 && sy < a.height && sx >= 0 && sx < a.width;
      const from = (sy * a.width + (a.flip ? a.width - 1 - sx : sx)) * channels;
      for (let c = 0; c < 3; c++) {
        const value = inside ? scaled.data[from + (channels === 1 ? 0 : c)]! : 0;
        crop[c * plane + y * cropSize + x] = (value - IMAGE_MEAN[c]!) / IMAGE_STD[c]!;
      }
    }
  }
  return crop;
}

describe('augmentation', () => {
  it('equals rescale, flip, padding, crop and normalisation done one after the other', () => {
    fc.assert(
      fc.property(cases, ({ image, augmentation, cropSize }) => {
        expect(apply(image, augmentation, cropSize).out).toEqual(stepByStep(image, augmentation, cropSize));
      }),
    );
  });

  it('keeps the box inside the crop, and exactly normalised zeros outside it', () => {
    fc.assert(
      fc.property(cases, ({ image, augmentation, cropSize }) => {
        const { box, out } = apply(image, augmentation, cropSize);
        expect(0 <= box.y0 && box.y0 < box.y1 && box.y1 <= cropSize).toBe(true);
        expect(0 <= box.x0 && box.x0 < box.x1 && box.x1 <= cropSize).toBe(true);
        for (let i = 0; i < out.length; i++) {
          const c = Math.floor(i / cropSize ** 2);
          const y = Math.floor(i / cropSize) % cropSize;
          const x = i % cropSize;
          const inside = y >= box.y0 && y < box.y1 && x >= box.x0 && x < box.x1;
          if (!inside) expect(out[i]).toBe(Math.fround(-IMAGE_MEAN[c]! / IMAGE_STD[c]!));
        }
      }),
    );
  });

  it('covers the crop where the image is larger, and shows all of it where it is smaller', () => {
    const covered = { flip: false, padTop: 0, padLeft: 2, cropTop: 5, cropLeft: 0, gain: 1 };
    expect(imageBox({ ...covered, height: 20, width: 6 }, 10)).toEqual({ y0: 0, y1: 10, x0: 2, x1: 8 });
  });

  it('scales intensities by the drawn gain, cuts bytes off at 255, and draws none without jitter', () => {
    const image = { data: Uint8Array.from([0, 100, 200, 250]), height: 2, width: 2, channels: 1 as const };
    const still = { height: 2, width: 2, flip: false, padTop: 0, padLeft: 0, cropTop: 0, cropLeft: 0 };
    const { out } = apply(image, { ...still, gain: 1.2 }, 2);
    // 0, 120, 240 and 300 cut off at 255, normalised by the first channel
    const expected = [0, 120, 240, 255].map((v) => Math.fround((v - IMAGE_MEAN[0]) / IMAGE_STD[0]));
    expect([...out.subarray(0, 4)]).toEqual(expected);

    const draw = (intensityJitter?: number) =>
      drawAugmentation(new Random(hashSeed(1)), 64, 64, {
        cropSize: 64,
        rescaleRange: [0.5, 2],
        intensityJitter,
      });
    expect(draw().gain).toBe(1);
    const { gain, ...rest } = draw(0.3);
    expect(gain).toBeGreaterThanOrEqual(0.7);
    expect(gain).toBeLessThanOrEqual(1.3);
    expect({ ...rest, gain: 1 }).toEqual(draw());
  });

  it('flips: mirrored twice is the image again', () => {
    fc.assert(
      fc.property(cases, ({ image, augmentation: drawn }) => {
        const side = Math.max(drawn.height, drawn.width);
        const whole = { ...drawn, padTop: 0, padLeft: 0, cropTop: 0, cropLeft: 0 };
        const straight = apply(image, { ...whole, flip: false }, side).out;
        const mirrored = apply(image, { ...whole, flip: true }, side).out;
        for (let i = 0; i < straight.length; i++) {
          const x = i % side;
          if (x < drawn.width) expect(straight[i]).toBe(mirrored[i - x + drawn.width - 1 - x]);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('draws within the options, with all the variety that they allow', () => {
    const random = new Random(hashSeed('variety'));
    const options = { cropSize: 100, rescaleRange: [0.5, 2] as [number, number] };
    const drawn = Array.from({ length: 2000 }, () => drawAugmentation(random, 80, 60, options));
    const range = (key: 'height' | 'width' | 'padTop' | 'cropTop') => {
      const values = drawn.map((a) => a[key]);
      return [Math.min(...values), Math.max(...values)];
    };
    // int(scale * side), scale in [0.5, 2).
    expect(range('height')).toEqual([40, 159]);
    expect(range('width')).toEqual([30, 119]);
    // Heights up to 100 are padded by up to 60, larger ones cropped by up to 59.
    expect(range('padTop')[0]).toBe(0);
    expect(range('padTop')[1]).toBeGreaterThan(50);
    expect(range('cropTop')[1]).toBeGreaterThan(50);
    const flips = drawn.filter((a) => a.flip).length;
    expect(Math.abs(flips - 1000)).toBeLessThan(5 * Math.sqrt(500));
  });

  it('keeps the size without a rescale range and the side without a flip', () => {
    const random = new Random(hashSeed('plain'));
    for (let i = 0; i < 20; i++) {
      const drawn = drawAugmentation(random, 33, 21, { cropSize: 40, fliplr: false });
      expect([drawn.height, drawn.width, drawn.flip]).toEqual([33, 21, false]);
    }
  });
});

describe('rescale of floats', () => {
  const python = findPython(['PIL', 'numpy']);

  it.skipIf(!python)("equals Pillow's mode F", () => {
    const random = new Random(hashSeed('floats'));
    const data = Float32Array.from({ length: 37 * 29 }, () => random.uniform(-1000, 3000));
    const code = `
import json, sys, numpy, PIL.Image
a = numpy.array(json.loads(sys.argv[1]), dtype='float32').reshape(37, 29)
sizes = [(18, 15), (60, 70), (29, 37), (1, 1)]
print(json.dumps([numpy.asarray(PIL.Image.fromarray(a).resize(s, PIL.Image.BILINEAR)).ravel().tolist() for s in sizes]))`;
    const wanted = JSON.parse(runPython(python!, code, [JSON.stringify([...data])])) as number[][];
    const image: PixelImage = { data, height: 37, width: 29, channels: 1 };
    const sizes = [
      [15, 18],
      [70, 60],
      [37, 29],
      [1, 1],
    ] as const;
    expect(sizes.map(([height, width]) => [...rescale(image, height, width).data])).toEqual(wanted);
  });
});
