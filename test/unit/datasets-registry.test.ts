import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { datasetNames, getDataset, registerDataset } from '../../src/datasets/registry.js';
import { configFor, newFolder, writeSlices } from './slice-folders.js';

describe('dataset registry', () => {
  it('knows the shipped datasets', () => {
    expect(datasetNames()).toEqual(expect.arrayContaining(['lasc', 'brats']));
  });

  it('refuses a name that is taken', () => {
    const definition = { ...getDataset('lasc'), title: 'Another' };
    expect(() => registerDataset(definition)).toThrow(
      new UsageError(
        "Expected a new name for dataset 'Another' but received 'lasc', which is taken by " +
          "'LASC, MRI of the left atrium'. Choose another name.",
      ),
    );
  });

  it('lists what there is for an unknown name', () => {
    expect(() => getDataset('lask')).toThrow(
      "Expected a known dataset name for dataset.name but received string 'lask'. There are: " +
        'lasc (LASC, MRI of the left atrium), brats (BraTS, MRI of brain tumours)',
    );
  });

  it('opens a registered dataset by the config', () => {
    const rootDir = newFolder();
    writeSlices(rootDir, 10);
    const config = configFor(rootDir, { 'dataset.slice_split': [1, 4] });
    const dataset = getDataset('brats').open(config.dataset, 'val', () => {});
    expect(dataset.names).toEqual(['P_001_1', 'P_002_0', 'P_003_1']);
  });

  describe('without data', () => {
    // Relative, as in the shipped configurations.
    let before: string;
    beforeAll(() => {
      before = process.cwd();
      process.chdir(newFolder());
    });
    afterAll(() => process.chdir(before));

    it.each([
      ['lasc', 'Task02_Heart', 'data/LASC', ''],
      ['brats', 'Task01_BrainTumour', 'data/BraTS', ' --channel 0'],
    ])('says for %s which public data and which command make them', (name, task, folder, flags) => {
      const { dataset } = configFor(`${folder}/imageSlice`);
      expect(() => getDataset(name).open(dataset, 'train', () => {})).toThrow(
        new UsageError(
          `Expected slices {name}_{label}.npy in dataset.root_dir ${folder}/imageSlice but this folder does not ` +
            'exist. Set dataset.root_dir to the folder that holds them, or make them from the public ' +
            `${task} of the Medical Segmentation Decathlon (medicaldecathlon.com): download and unpack it, then run\n` +
            `  node dist/prepare.js nifti ${task}/imagesTr --labels ${task}/labelsTr${flags} --out ${folder}`,
        ),
      );
    });
  });
});
