import { decathlonRemedy } from './decathlon.js';
import { registerMedicalDataset } from './medical-slices.js';

/** BraTS: slices of brain MRI; positive when they show a tumour (`BRATS_{patient}_{slice}_{label}.npy`). */
registerMedicalDataset({
  name: 'brats',
  title: 'BraTS, MRI of brain tumours',
  sliceSplit: [15500, 27435],
  // The task's volumes hold four sequences; 0 is FLAIR, where oedema and tumour are brightest.
  remedy: (rootDir) => decathlonRemedy('Task01_BrainTumour', rootDir, ' --channel 0'),
});
