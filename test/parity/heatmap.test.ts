import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { overlayCam } from '../../src/export/heatmap.js';
import { colorize, JET_LUT, VOC_PALETTE } from '../../src/export/palette.js';
import { encodePng, heatmapFileName, writePng } from '../../src/export/png.js';
import { readSafetensors } from '../../src/io/safetensors.js';
import { typedView } from '../../src/tensor/dtypes.js';

// Made with OpenCV's applyColorMap and the original's show_cam_on_image.
const fixture = readSafetensors(
  fileURLToPath(new URL('../fixtures/io/image_ops.safetensors', import.meta.url)),
);
const bytes = (name: string) => typedView(fixture.get(name)!) as Uint8Array;
const [height, width] = fixture.get('overlay.image')!.shape as [number, number];

describe('colour tables', () => {
  it('gives the 256 colours of COLORMAP_JET', () => {
    expect(JET_LUT).toEqual(bytes('jet_lut_rgb'));
  });

  it('gives the 256 colours of PASCAL VOC', () => {
    expect(VOC_PALETTE).toEqual(bytes('voc_palette_rgb'));
    expect(colorize(Uint8Array.of(255, 1))).toEqual(Uint8Array.of(224, 224, 192, 128, 0, 0));
  });
});

describe('overlay', () => {
  const image = bytes('overlay.image');
  const cam = typedView(fixture.get('overlay.cam')!) as Float32Array;

  it('equals the original byte for byte', () => {
    expect(overlayCam(image, cam)).toEqual(bytes('overlay.png_rgb'));
  });

  it('clips what lies outside 0..1 and refuses what has no colour', () => {
    const grey = new Uint8Array(6).fill(100);
    expect(overlayCam(grey, Float32Array.of(-2, 3))).toEqual(overlayCam(grey, Float32Array.of(0, 1)));
    expect(() => overlayCam(grey, Float32Array.of(0, NaN))).toThrow('received NaN at pixel 1');
    expect(() => overlayCam(grey, Float32Array.of(0))).toThrow('Expected an RGB image of 1 pixels');
  });

  it('keeps every byte through PNG', async () => {
    const png = await encodePng(overlayCam(image, cam), height, width);
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect([info.height, info.width, info.channels]).toEqual([height, width, 3]);
    expect(Uint8Array.from(data)).toEqual(bytes('overlay.png_rgb'));
  });
});

describe('PNG files', () => {
  it('are named by image and score', () => {
    expect(heatmapFileName('LASC_000_00_1', 0.98765)).toBe('LASC_000_00_1_0.988.png');
    expect(heatmapFileName('a', 1)).toBe('a_1.000.png');
    expect(heatmapFileName('a', 0.5, 'traffic light/1.5')).toBe('a_0.500_traffic_light_1_5.png');
  });

  it('are written whole, or refused with the file and the remedy', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'png-'));
    try {
      await writePng(join(folder, 'a.png'), Uint8Array.of(1, 2, 3, 4, 5, 6), 1, 2);
      expect([...(await sharp(join(folder, 'a.png')).raw().toBuffer())]).toEqual([1, 2, 3, 4, 5, 6]);
      await expect(writePng(join(folder, 'b.png'), new Uint8Array(5), 1, 2)).rejects.toThrow(
        'Expected 6 bytes for a 1x2',
      );
      await expect(writePng(join(folder, 'x', 'b.png'), new Uint8Array(6), 1, 2)).rejects.toThrow(
        /Cannot write .*folder/,
      );
      expect(readdirSync(folder)).toEqual(['a.png']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
