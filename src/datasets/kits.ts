import { dirname } from 'node:path';
import { registerMedicalDataset } from './medical-slices.js';

/** KiTS: slices of abdominal CT; positive when they show a kidney tumour (`KITS_{case}_{slice}_{label}.npy`). */
registerMedicalDataset({
  name: 'kits',
  title: 'KiTS, CT of kidney tumours',
  sliceSplit: [8494, 15054],
  remedy: (rootDir) =>
    'Set dataset.root_dir to the folder that holds them, or make them from the public challenge data ' +
    '(kits-challenge.org): fetch the cases with its own script, then run\n' +
    `  node dist/prepare.js nifti kits23/dataset --out ${dirname(rootDir)}`,
});
