/**
 * All datasets of the project. To add one: write its file (lasc.ts is the pattern), import it here, and
 * add a YAML under configs/.
 */
import './lasc.js';
import './brats.js';
import './kits.js';

export { datasetNames, getDataset, registerDataset } from './register.js';
