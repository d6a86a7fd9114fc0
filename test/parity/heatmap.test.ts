import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { overlayCam } from '../../src/export/heatmap.js';
import { colorize, JET_LUT, VOC_PALETTE } from '../../src/export/palette.js';
import { encodePng } from '../../src/export/png.js';
import { readSafetensors } from '../../src/io/safetensors.js';
import { typedView } from '../../src/tensor/dtypes.js';

// Made with OpenCV's applyColorMap and the original's show_cam_on_image.
const fixture = readSafetensors(fileURLToPath(new URL('../fixtures/io/image_ops.safetensors', import.meta.url)));
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

  it('keeps every byte through PNG', async () => {
    const png = await encodePng(overlayCam(image, cam), height, width);
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect([info.height, info.width, info.channels]).toEqual([height, width, 3]);
    expect(Uint8Array.from(data)).toEqual(bytes('overlay.png_rgb'));
  });
});
