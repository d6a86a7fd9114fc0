import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { readImageFile } from '../../src/datasets/image-file.js';
import { findPython, runPython } from '../oracles/python.js';
import { newFolder } from './voc-folders.js';

const folder = newFolder();
const at = (name: string) => join(folder, name);
const [height, width] = [60, 83];
const rgb = Uint8Array.from(
  { length: 3 * height * width },
  (_, i) => 128 + 100 * Math.sin(i / 40) + ((i * 31) % 20),
);
const picture = () => sharp(rgb, { raw: { width, height, channels: 3 } });

describe('readImageFile', () => {
  it('gives the pixels of a PNG as they are', async () => {
    await picture().png().toFile(at('rgb.png'));
    const image = await readImageFile(at('rgb.png'));
    expect(image).toEqual({ data: rgb, height, width, channels: 3 });
  });

  it('keeps grey, drops transparency and the low byte of 16 bits', async () => {
    await picture().toColourspace('b-w').jpeg().toFile(at('grey.jpg'));
    expect(await readImageFile(at('grey.jpg'))).toMatchObject({ height, width, channels: 1 });
    await picture().ensureAlpha(0.5).png().toFile(at('rgba.png'));
    expect((await readImageFile(at('rgba.png'))).data).toEqual(rgb);
    await picture().toColourspace('rgb16').png().toFile(at('rgb16.png'));
    expect((await sharp(at('rgb16.png')).metadata()).depth).toBe('ushort');
    expect((await readImageFile(at('rgb16.png'))).data).toEqual(rgb);
  });

  it('leaves the orientation of EXIF alone', async () => {
    await picture().withMetadata({ orientation: 6 }).jpeg().toFile(at('exif.jpg'));
    expect(await readImageFile(at('exif.jpg'))).toMatchObject({ height, width });
  });

  it('names files that are missing, empty, cut off, damaged within or of another kind', async () => {
    await picture().jpeg({ quality: 90 }).toFile(at('whole.jpg'));
    const whole = readFileSync(at('whole.jpg'));
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, 900, 960);
    for (const [bytes, message] of [
      [Buffer.alloc(0), /bad\.jpg but received an empty file/],
      [whole.subarray(0, 1000), /bad\.jpg but received one that cannot be decoded/],
      [whole.subarray(0, whole.length - 20), /premature end/],
      [damaged, /bad\.jpg but received one that cannot be decoded/],
      [Buffer.from('not a picture'), /unsupported image format/],
      [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>'), /its format is svg/],
    ] as const) {
      writeFileSync(at('bad.jpg'), bytes);
      await expect(readImageFile(at('bad.jpg'))).rejects.toThrow(message);
      await expect(readImageFile(at('bad.jpg'))).rejects.toThrow(UsageError);
    }
    await expect(readImageFile(at('none.jpg'))).rejects.toThrow(/Cannot read .*none\.jpg: no such file/);
  });
});

describe('readImageFile and Pillow', () => {
  const python = findPython(['PIL', 'numpy']);

  it.skipIf(!python)(
    'give the same numbers for RGB, grey, progressive, CMYK and profiled JPEGs',
    async () => {
      await picture().png().toFile(at('source.png'));
      const code = `import sys, numpy as np; from PIL import Image, ImageCms
out = sys.argv[1]; p = Image.open(out + '/source.png').convert('RGB')
save = lambda i, name, **k: i.save(out + '/' + name + '.jpg', quality=90, **k)
save(p, 'a'); save(p.convert('L'), 'b'); save(p, 'c', progressive=True); save(p.convert('CMYK'), 'd'); save(p, 'e', subsampling=0)
save(p, 'f', icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile('XYZ')).tobytes())
inks = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8), 'CMYK'); save(inks, 'g')
for n in 'abcdefg':
    i = Image.open(out + '/' + n + '.jpg'); np.asarray(i.convert('RGB') if i.mode == 'CMYK' else i).tofile(out + '/' + n + '.raw')`;
      runPython(python!, code, [folder]);
      for (const name of 'abcdefg') {
        const { data } = await readImageFile(at(`${name}.jpg`));
        expect(Buffer.compare(Buffer.from(data), readFileSync(at(`${name}.raw`))), name).toBe(0);
      }
    },
  );
});
