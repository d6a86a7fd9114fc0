import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { FileAccessError } from '../../src/io/file-error.js';
import { writeNpy } from '../../src/io/npy.js';
import { type ImagePixels, loadImage, toRgbPixels } from '../../src/predictor/image.js';

const folder = mkdtempSync(join(tmpdir(), 'afa-image-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

const silent = () => {
  throw new Error('no warning was due');
};
const load = (image: unknown) => loadImage(image as ImagePixels, silent);

describe('pixels in memory', () => {
  it('tells grey from RGB by the length where channels are not given', async () => {
    const grey = await load({ data: new Uint8Array(6), height: 2, width: 3 });
    const rgb = await load({ data: new Float32Array(18), height: 2, width: 3 });
    expect([grey.channels, rgb.channels]).toEqual([1, 3]);
  });

  const good = { data: new Uint8Array(6), height: 2, width: 3 };
  it.each([
    ['a Uint8Array or Float32Array of pixels, or a path, for image.data but received nothing', undefined],
    ['for image.data but received an array of 2', { ...good, data: [1, 2] }],
    ['for image.data but received Float64Array of 6', { ...good, data: new Float64Array(6) }],
    ['a positive integer for image.height but received number 0', { ...good, height: 0 }],
    ['a positive integer for image.width but received number 2.5', { ...good, width: 2.5 }],
    ['1 (grey) or 3 (RGB) for image.channels but received number 4. Drop an alpha', { ...good, channels: 4 }],
    ['18 values (2 x 3 x 3) for image.data but received 6', { ...good, channels: 3 }],
    ['6 (grey) or 18 (RGB) values for image.data of 2x3 pixels', { ...good, data: new Uint8Array(24) }],
    ['received NaN at element 2', { ...good, data: Float32Array.of(0, 1, Number.NaN, 3, 4, 5) }],
  ])('is refused: %s', async (message, image) => {
    const fault = await load(image).catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(UsageError);
    expect((fault as Error).message).toContain(message);
  });
});

describe('files', () => {
  it('reads a slice of any dtype, grey as grey', async () => {
    writeNpy(at('slice.npy'), { dtype: 'int16', shape: [2, 3], data: Int16Array.of(0, 1, 2, 253, 254, 255) });
    expect(await load(at('slice.npy'))).toMatchObject({
      data: Uint8Array.of(0, 1, 2, 253, 254, 255),
      height: 2,
      width: 3,
      channels: 1,
    });
  });

  it('passes on what the reader of slices warns of', async () => {
    writeNpy(at('unit.npy'), { dtype: 'float32', shape: [1, 2], data: Float32Array.of(0, 0.5) });
    const warnings: string[] = [];
    await loadImage(at('unit.npy'), (message) => warnings.push(message));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('unit.npy holds values from 0 to 0.5');
  });

  const pixels = Uint8Array.of(10, 20, 30, 255, 0, 128);
  const raw = { raw: { width: 2, height: 1, channels: 3 } } as const;
  it('reads a PNG bit for bit, and drops transparency', async () => {
    await sharp(pixels, raw).png().toFile(at('rgb.png'));
    await sharp(pixels, raw).ensureAlpha(0.5).png().toFile(at('RGBA.PNG'));
    for (const name of ['rgb.png', 'RGBA.PNG']) {
      const image = await load(at(name));
      expect({ ...image, data: [...image.data] }).toEqual({ data: [...pixels], height: 1, width: 2 });
    }
  });

  it('reads a JPEG', async () => {
    const flat = new Uint8Array(3 * 64).fill(77);
    await sharp(flat, { raw: { width: 8, height: 8, channels: 3 } })
      .jpeg()
      .toFile(at('flat.jpg'));
    const { data, height, width } = await load(at('flat.jpg'));
    expect([data.length, height, width]).toEqual([192, 8, 8]);
    expect(Math.abs(data[0]! - 77)).toBeLessThanOrEqual(1);
  });

  it('gives grey pictures equal channels, and warns of 16 bits', async () => {
    const deep = Uint16Array.of(0, 0x8000, 0xff00);
    const file = sharp(deep, { raw: { width: 3, height: 1, channels: 1 } });
    await file.toColourspace('grey16').png().toFile(at('deep.png'));
    const warnings: string[] = [];
    const { data } = await loadImage(at('deep.png'), (message) => warnings.push(message));
    expect([...data]).toEqual([0, 0, 0, 128, 128, 128, 255, 255, 255]);
    expect(warnings[0]).toMatch(/deep\.png has more than 8 bits a channel/);
  });

  it('says what is wrong with a file', async () => {
    writeFileSync(at('text.png'), 'no picture');
    await expect(load(at('text.png'))).rejects.toThrow(
      /Expected a PNG or JPEG image for .*text\.png but it cannot/,
    );
    await expect(load(at('absent.png'))).rejects.toThrow(FileAccessError);
    await expect(load(at('absent.npy'))).rejects.toThrow(/absent\.npy: no such file/);
    await expect(load(at('scan.dcm'))).rejects.toThrow(
      /Expected a \.npy, \.png, \.jpg, \.jpeg file for the image/,
    );
  });
});

describe('toRgbPixels', () => {
  it('replicates grey, rounds and cuts', () => {
    const data = Float32Array.of(-5, 1.6, 300);
    expect([...toRgbPixels({ data, height: 1, width: 3, channels: 1 })]).toEqual([
      0, 0, 0, 2, 2, 2, 255, 255, 255,
    ]);
  });
});
