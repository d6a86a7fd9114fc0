import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { encode } from 'fast-png';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readLabelPng, writeLabelPng, writeLabelPngAsync } from '../../src/io/label-png.js';
import { VOC_PALETTE } from '../../src/io/voc-palette.js';
import { findPython, runPython } from '../oracles/python.js';

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'io-label-png-'));
  path = join(folder, 'a.png');
});
afterAll(() => rmSync(folder, { recursive: true }));

const save = (bytes: Uint8Array) => writeFileSync(path, bytes);
const grey = (
  data: Uint8Array | Uint16Array,
  width: number,
  depth: 1 | 2 | 4 | 8 | 16,
  palette?: number[][],
) => save(encode({ data, width, height: 2, channels: 1, depth, ...(palette && { palette }) }));
const rgb = (colours: number[][], channels = 3) =>
  save(
    encode({ data: Uint8Array.from(colours.flat()), width: colours.length, height: 1, channels, depth: 8 }),
  );
const vocColour = (label: number) => [...VOC_PALETTE.subarray(3 * label, 3 * label + 3)];

describe('label PNGs', () => {
  it('come back as they were written, in palette and in grey', () => {
    const maps = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 })).chain(([h, w]) =>
      fc.record({
        height: fc.constant(h),
        width: fc.constant(w),
        data: fc.uint8Array({ minLength: h * w, maxLength: h * w }),
      }),
    );
    fc.assert(
      fc.property(maps, fc.boolean(), (map, coloured) => {
        writeLabelPng(path, map.data, map.height, map.width, coloured ? VOC_PALETTE : undefined);
        expect(readLabelPng(path)).toEqual(map);
      }),
      { numRuns: 30 },
    );
  });

  it('are written whole by the asynchronous writer too', async () => {
    await writeLabelPngAsync(path, Uint8Array.of(0, 15, 255, 1), 2, 2, VOC_PALETTE);
    expect([...readLabelPng(path).data]).toEqual([0, 15, 255, 1]);
    expect(readdirSync(folder)).toEqual(['a.png']);
  });

  it('show VOC colours to programs that paint them', async () => {
    writeLabelPng(path, Uint8Array.of(0, 15, 255, 1), 2, 2, VOC_PALETTE);
    const pixels = await sharp(path).raw().toBuffer();
    expect([...pixels]).toEqual([0, 0, 0, 192, 128, 128, 224, 224, 192, 128, 0, 0]);
  });

  it.each([1, 2, 4] as const)('unpack %i bits a pixel, with padded rows', (depth) => {
    const width = 9;
    const top = 2 ** depth - 1;
    const labels = Uint8Array.from({ length: 2 * width }, (_, i) => (i * 7) % (top + 1));
    const rowBytes = Math.ceil((width * depth) / 8);
    const packed = new Uint8Array(2 * rowBytes);
    for (const [i, label] of labels.entries()) {
      const bit = (i % width) * depth;
      packed[Math.floor(i / width) * rowBytes + (bit >> 3)]! |= label << (8 - depth - (bit & 7));
    }
    // fast-png packs for itself neither: it takes packed rows.
    grey(packed, width, depth);
    expect(readLabelPng(path)).toEqual({ data: labels, height: 2, width });
    grey(
      packed,
      width,
      depth,
      Array.from({ length: top + 1 }, (_, label) => vocColour(label)),
    );
    expect(readLabelPng(path)).toEqual({ data: labels, height: 2, width });
  });

  it('take 16-bit grey values that are bytes, and refuse others', () => {
    grey(Uint16Array.of(0, 1, 255, 20), 2, 16);
    expect([...readLabelPng(path).data]).toEqual([0, 1, 255, 20]);
    grey(Uint16Array.of(0, 1, 2, 256), 2, 16);
    expect(() => readLabelPng(path)).toThrow(/a\.png but received value 256 at row 1, column 1/);
  });

  it('take VOC colours, with transparency dropped, and no others', () => {
    rgb([0, 15, 255, 20].map(vocColour));
    expect([...readLabelPng(path).data]).toEqual([0, 15, 255, 20]);
    rgb(
      [0, 7].map((label) => [...vocColour(label), 9]),
      4,
    );
    expect([...readLabelPng(path).data]).toEqual([0, 7]);
    rgb([vocColour(0), [127, 0, 0]]);
    expect(() => readLabelPng(path)).toThrow(
      /a\.png but received a wrong palette: colour \(127, 0, 0\) at row 0, column 1/,
    );
  });

  it('keep indices under a palette that is no VOC one', () => {
    grey(Uint8Array.of(0, 1, 2, 1), 2, 8, [
      [0, 0, 0],
      [1, 1, 1],
      [2, 2, 2],
    ]);
    expect([...readLabelPng(path).data]).toEqual([0, 1, 2, 1]);
  });

  it('refuse a renumbered palette: its indices would be other classes', () => {
    grey(Uint8Array.of(0, 1, 1, 0), 2, 8, [vocColour(0), vocColour(15)]);
    expect(() => readLabelPng(path)).toThrow(
      /wrong palette: index 1, first at row 0, column 1, has VOC's colour of class 15/,
    );
  });

  it('refuse an index beyond the palette', () => {
    grey(Uint8Array.of(0, 3, 1, 0), 2, 8, [vocColour(0), vocColour(1)]);
    expect(() => readLabelPng(path)).toThrow(/index 3 at row 0, column 1, beyond its palette of 2 colours/);
  });

  it('refuse files that are cut off anywhere, or changed', () => {
    writeLabelPng(
      path,
      new Uint8Array(400).map((_, i) => i % 21),
      20,
      20,
    );
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++) {
      save(whole.subarray(0, length));
      expect(() => readLabelPng(path), `${length} bytes`).toThrow(/a\.png but received/);
    }
    const changed = Buffer.from(whole);
    changed[whole.length - 30]! ^= 1;
    save(changed);
    expect(() => readLabelPng(path)).toThrow(/a damaged one/);
  });

  it('name a missing file, an empty one and another kind', () => {
    expect(() => readLabelPng(join(folder, 'none.png'))).toThrow(/Cannot read .*none\.png: no such file/);
    save(new Uint8Array());
    expect(() => readLabelPng(path)).toThrow(/an empty file/);
    save(Buffer.from('not a picture at all'));
    expect(() => readLabelPng(path)).toThrow(/a file of another kind/);
  });

  it('refuse to write labels that do not fit', () => {
    expect(() => writeLabelPng(path, new Uint8Array(3), 2, 2)).toThrow(/Expected 4 labels .* received 3/);
    expect(() => writeLabelPng(path, Uint8Array.of(2), 1, 1, VOC_PALETTE.subarray(0, 6))).toThrow(
      /Expected labels below 2, the palette's length, but received 2/,
    );
  });
});

describe('label PNGs and Pillow', () => {
  const python = findPython(['PIL', 'numpy']);
  const labels = Array.from({ length: 60 }, (_, i) => (i * 37) % 256);

  it.skipIf(!python)('reads the indices that are written here', () => {
    writeLabelPng(path, Uint8Array.from(labels), 6, 10, VOC_PALETTE);
    const code = `import sys, json, numpy as np; from PIL import Image
i = Image.open(sys.argv[1]); print(json.dumps([i.mode, np.asarray(i).ravel().tolist(), i.getpalette()]))`;
    const [mode, values, palette] = JSON.parse(runPython(python!, code, [path]));
    expect([mode, values, palette]).toEqual(['P', labels, [...VOC_PALETTE]]);
  });

  it.skipIf(!python)('writes, in every mode, what is read here', () => {
    const code = `import sys, json, numpy as np; from PIL import Image
out, labels, palette = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
a = np.array(labels, np.uint8).reshape(6, 10)
i = Image.fromarray(a); i.save(out + '/l.png')
i.putpalette(palette); i.save(out + '/p.png'); i.save(out + '/o.png', optimize=True); i.convert('RGB').save(out + '/rgb.png')
Image.fromarray(a % 2 == 1).save(out + '/one.png')`;
    runPython(python!, code, [folder, JSON.stringify(labels), JSON.stringify([...VOC_PALETTE])]);
    for (const name of ['l', 'p', 'o', 'rgb']) {
      expect([...readLabelPng(join(folder, `${name}.png`)).data], name).toEqual(labels);
    }
    expect([...readLabelPng(join(folder, 'one.png')).data]).toEqual(labels.map((label) => label % 2));
  });
});
