import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { PixelImage } from '../../src/datasets/sample.js';
import { normalizeImage } from '../../src/loading/normalize.js';
import { rescale, rescaleWindow } from '../../src/loading/rescale.js';

// Numbers of the original's Pillow 13.0.0 and NumPy code: test/fixtures/io/image_ops.safetensors.
const FIXTURE = new URL('../fixtures/io/image_ops.safetensors', import.meta.url);

interface Entry {
  shape: number[];
  data_offsets: [number, number];
}

/** Reads one tensor straight from the file, so that this test depends on no reader of the project. */
function tensor(name: string): { shape: number[]; bytes: Uint8Array } {
  const file = readFileSync(FIXTURE);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerLength)) as Record<string, Entry>;
  const entry = header[name]!;
  const [start, end] = entry.data_offsets.map((at) => at + 8 + headerLength) as [number, number];
  return { shape: entry.shape, bytes: Uint8Array.from(file.subarray(start, end)) };
}

function floats(name: string): { shape: number[]; data: Float32Array } {
  const { shape, bytes } = tensor(name);
  return { shape, data: new Float32Array(bytes.buffer) };
}

function source(): PixelImage {
  const { shape, bytes } = tensor('source');
  return { data: bytes, height: shape[0]!, width: shape[1]!, channels: 3 };
}

const RATIOS = ['0.5', '0.73', '1.0', '1.31', '2.0'];

describe('rescale', () => {
  it.each(RATIOS)('equals Pillow bit for bit at ratio %s', (ratio) => {
    const wanted = floats(`scaled.${ratio}`);
    const image = source();
    const height = Math.trunc(Number(ratio) * image.height);
    const width = Math.trunc(Number(ratio) * image.width);
    expect([height, width, 3]).toEqual(wanted.shape);
    const scaled = rescale(image, height, width);
    expect(scaled.data).toBeInstanceOf(Uint8Array);
    expect(Float32Array.from(scaled.data)).toEqual(wanted.data);
  });

  it.each(RATIOS)('gives float pixels the unrounded numbers at ratio %s', (ratio) => {
    const wanted = floats(`scaled.${ratio}`);
    const image = source();
    const scaled = rescale(
      { ...image, data: Float32Array.from(image.data) },
      wanted.shape[0]!,
      wanted.shape[1]!,
    );
    // The two roundings of the 8-bit path are at most one half each (at ratio 2 ties reach it).
    let worst = 0;
    for (let i = 0; i < wanted.data.length; i++) {
      worst = Math.max(worst, Math.abs(scaled.data[i]! - wanted.data[i]!));
    }
    expect(worst).toBeLessThanOrEqual(1);
    expect(ratio === '1.0' ? worst === 0 : worst > 0).toBe(true);
  });

  it.each(RATIOS)('computes a window without changing its numbers at ratio %s', (ratio) => {
    const wanted = floats(`scaled.${ratio}`);
    const [height, width] = wanted.shape as [number, number];
    const window = { y0: 7, y1: height - 3, x0: 5, x1: width - 11 };
    const part = rescaleWindow(source(), height, width, window);
    const rows: number[] = [];
    for (let y = window.y0; y < window.y1; y++) {
      rows.push(...wanted.data.subarray((y * width + window.x0) * 3, (y * width + window.x1) * 3));
    }
    expect([part.height, part.width]).toEqual([height - 10, width - 16]);
    expect(Array.from(part.data)).toEqual(rows);
  });

  it('gives a grey image the numbers of an RGB image with three equal channels', () => {
    const { data, height, width } = source();
    const red = data.filter((_, i) => i % 3 === 0);
    const scaled = rescale({ data: red, height, width, channels: 1 }, 44, 60);
    expect(Array.from(scaled.data)).toEqual(
      Array.from(floats('scaled.0.73').data.filter((_, i) => i % 3 === 0)),
    );
  });
});

describe('normalizeImage', () => {
  it('equals normalize_img exactly', () => {
    const wanted = floats('normalized');
    expect(wanted.shape).toEqual([3, source().height, source().width]);
    expect(normalizeImage(source())).toEqual(wanted.data);
  });

  it('gives float pixels of the same values the same numbers', () => {
    const image = source();
    expect(normalizeImage({ ...image, data: Float32Array.from(image.data) })).toEqual(
      floats('normalized').data,
    );
  });
});
