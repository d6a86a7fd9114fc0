import { decathlonRemedy } from './decathlon.js';
import { registerMedicalDataset } from './medical-slices.js';

/** LASC: slices of cardiac MRI; positive when they show the left atrium (`LASC_{patient}_{slice}_{label}.npy`). */
registerMedicalDataset({
  name: 'lasc',
  title: 'LASC, MRI of the left atrium',
  sliceSplit: [4400, 4884],
  remedy: (rootDir) => decathlonRemedy('Task02_Heart', rootDir),
});
