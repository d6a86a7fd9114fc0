import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import {
  loadClsLabelsFromFilenames,
  loadSliceList,
  MedicalClsDataset,
  MedicalClsValDataset,
  MedicalSliceDataset,
  robustReadNpy,
} from '../../src/datasets/medical-slices.js';
import { readNpy } from '../../src/io/npy.js';
import { normalizeImage } from '../../src/loading/normalize.js';
import { mask, newFolder, slice, writeMask, writeSlices } from './slice-folders.js';

describe('robustReadNpy', () => {
  it('replicates grey to three equal channels', () => {
    const path = fileURLToPath(new URL('../fixtures/io/npy/slice_i2_be.npy', import.meta.url));
    const image = robustReadNpy(path);
    const grey = Array.from(readNpy(path).data, Number);
    expect([image.height, image.width]).toEqual([24, 30]);
    expect(Array.from(image.data)).toEqual(grey.flatMap((value) => [value, value, value]));
  });
});

describe('loadSliceList', () => {
  it('gives sorted .npy names of a split and leaves other files aside', () => {
    const rootDir = newFolder();
    const names = writeSlices(rootDir, 6);
    writeFileSync(join(rootDir, 'README.txt'), 'not a slice');
    expect(loadSliceList(rootDir, 'val', [1, 3])).toEqual([names[1], names[2]]);
    expect(loadSliceList(rootDir, 'train', [1, 3])).toEqual(names.slice(3));
  });

  it('refuses a folder without slices', () => {
    const rootDir = newFolder();
    writeFileSync(join(rootDir, 'slice_0.png'), '');
    expect(() => loadSliceList(rootDir, 'val', [0, 1])).toThrow(
      new UsageError(
        `Expected slices {name}_{label}.npy in dataset.root_dir ${rootDir} but received no .npy file (1 other ` +
          'entries). Set dataset.root_dir to the folder that holds your slices.',
      ),
    );
  });

  it('refuses a file in place of the folder', () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    expect(() => loadSliceList(file, 'val', [0, 1])).toThrow(`${file} but this folder is a file. Set`);
  });
});

describe('loadClsLabelsFromFilenames', () => {
  it('reads the digit before the extension', () => {
    const labels = loadClsLabelsFromFilenames(['LASC_007_12_1.npy', 'LASC_007_13_0.npy', 'A_1.v2.npy']);
    expect(Object.fromEntries(labels)).toEqual({
      LASC_007_12_1: Uint8Array.of(1),
      LASC_007_13_0: Uint8Array.of(0),
      'A_1.v2': Uint8Array.of(1),
    });
  });

  it('sets class k for label k of several classes', () => {
    const labels = loadClsLabelsFromFilenames(['a_0.npy', 'a_1.npy', 'a_3.npy'], 4);
    expect([...labels.values()].map((label) => [...label])).toEqual([
      [0, 0, 0],
      [1, 0, 0],
      [0, 0, 1],
    ]);
  });

  it.each([
    ['scan.npy', 'no label. Rename the file.'],
    ['scan_x.npy', 'no label. Rename the file.'],
    ['scan_2.npy', 'label 2. Rename the file or raise dataset.num_classes.'],
  ])('refuses %s', (name, received) => {
    expect(() => loadClsLabelsFromFilenames(['a_1.npy', name], 2, 'data/X')).toThrow(
      new UsageError(
        `Expected a name {name}_{label}.npy with a label from 0 to 1 for data/X/${name} but received ${received}`,
      ),
    );
  });
});

describe('MedicalSliceDataset', () => {
  it('gives names, labels, images and masks of its split', () => {
    const rootDir = newFolder();
    const names = writeSlices(rootDir, 5);
    writeMask(rootDir, names[3]!, mask(40, 48));
    const dataset = new MedicalSliceDataset({ rootDir, split: 'train', sliceSplit: [0, 2] });
    expect([dataset.length, dataset.names, dataset.hasMasks]).toEqual([
      3,
      ['P_002_0', 'P_003_1', 'P_004_0'],
      true,
    ]);
    const sample = dataset.get(1);
    expect(sample.name).toBe('P_003_1');
    expect(sample.label).toEqual(Uint8Array.of(1));
    expect(sample.image.data.length).toBe(40 * 48 * 3);
    expect(sample.image.data[3]).toBe(slice(40, 48, 3).data[1]);
    expect(sample.mask).toEqual({ data: mask(40, 48).data, height: 40, width: 48 });
    expect(dataset.get(0)).not.toHaveProperty('mask');
    expect(new MedicalSliceDataset({ rootDir, split: 'val', sliceSplit: [0, 2] }).hasMasks).toBe(false);
  });

  it('opens without reading any file', () => {
    const rootDir = newFolder();
    for (const name of ['a_0.npy', 'a_1.npy']) writeFileSync(join(rootDir, name), 'no array');
    const dataset = new MedicalSliceDataset({ rootDir, split: 'train', sliceSplit: [0, 1] });
    expect(dataset.names).toEqual(['a_1']);
    expect(() => dataset.get(0)).toThrow(join(rootDir, 'a_1.npy'));
  });

  it('refuses a mask without its slice, naming both', () => {
    const rootDir = newFolder();
    writeSlices(rootDir, 3);
    const path = writeMask(rootDir, 'Q_000_1.npy', mask(40, 48));
    expect(() => new MedicalSliceDataset({ rootDir, split: 'train', sliceSplit: [0, 1] })).toThrow(
      new UsageError(
        `Expected a slice ${join(rootDir, 'Q_000_1.npy')} for mask ${path} but received none (1 of 1 masks have ` +
          'no slice). Add the slices or remove these masks.',
      ),
    );
  });

  it('refuses a mask of another size, naming both', () => {
    const rootDir = newFolder();
    const names = writeSlices(rootDir, 3);
    const path = writeMask(rootDir, names[2]!, mask(40, 40));
    const dataset = new MedicalSliceDataset({ rootDir, split: 'train', sliceSplit: [0, 1] });
    expect(() => dataset.get(1)).toThrow(
      new UsageError(
        `Expected a mask of 40 x 48 pixels, the size of ${join(rootDir, names[2]!)}, for ${path} but received ` +
          "40 x 40. Make the mask again on the image's grid.",
      ),
    );
  });

  it('reads masks from another folder on demand', () => {
    const rootDir = newFolder();
    const names = writeSlices(rootDir, 2);
    const other = newFolder();
    const path = writeMask(other, names[1]!, mask(40, 48));
    const options = { rootDir, split: 'train', sliceSplit: [0, 1] as [number, number] };
    expect(new MedicalSliceDataset({ ...options, masksDir: dirname(path) }).get(0).mask).toBeDefined();
    expect(new MedicalSliceDataset(options).get(0).mask).toBeUndefined();
  });

  it('refuses an index outside the split', () => {
    const rootDir = newFolder();
    writeSlices(rootDir, 2);
    const dataset = new MedicalSliceDataset({ rootDir, sliceSplit: [0, 1] });
    expect(() => dataset.get(1)).toThrow('Expected a sample index from 0 to 0 but received 1');
  });
});

describe('MedicalClsDataset and MedicalClsValDataset', () => {
  const rootDir = newFolder();
  const names = writeSlices(rootDir, 4);
  writeMask(rootDir, names[1]!, mask(40, 48));

  it('augments differently in each epoch, and the same way again', () => {
    const dataset = new MedicalClsDataset({ rootDir, sliceSplit: [0, 2], cropSize: 64 });
    const first = dataset.item(1, 0);
    expect([first.name, first.label, first.image.length]).toEqual(['P_003_1', Uint8Array.of(1), 3 * 64 * 64]);
    expect(dataset.item(1, 0)).toEqual(first);
    expect(dataset.item(1, 1).image).not.toEqual(first.image);
  });

  it('gives whole normalised images with masks for validation', () => {
    const dataset = new MedicalClsValDataset({ rootDir, sliceSplit: [0, 2] });
    const item = dataset.item(1);
    expect(dataset.names).toEqual(['P_000_0', 'P_001_1']);
    expect([item.height, item.width, item.mask?.data]).toEqual([40, 48, mask(40, 48).data]);
    expect(item.image).toEqual(normalizeImage(dataset.readImage(1)));
  });

  it('lists 120,000 names in well under the time that opening the files would take', () => {
    const names = Array.from({ length: 120_000 }, (_, i) => `BRATS_${i}_${i % 2}.npy`);
    const start = performance.now();
    expect(loadClsLabelsFromFilenames(names).size).toBe(120_000);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});
