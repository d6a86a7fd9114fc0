export * from './auroc.js';
export * from './classification.js';
export * from './localisation.js';
export type { Reasons } from './reasons.js';
export * from './segmentation.js';
