/**
 * All datasets of the project. To add one: write its file (kits.ts is the pattern), import it here, and
 * add a YAML under configs/: docs/adding-a-dataset.md.
 */
import './lasc.js';
import './brats.js';
import './kits.js';
import './coco.js';
import './voc.js';

export { datasetNames, getDataset, registerDataset } from './register.js';
