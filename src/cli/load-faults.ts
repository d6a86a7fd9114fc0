/** Imported by every command for its effect: faults of loading are worded as those of running are. */
import { wordLoadFaults } from './run-main.js';

wordLoadFaults();
