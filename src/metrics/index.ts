export * from './auroc.js';
export * from './average-precision.js';
export { BINARY_SCORES, type BinaryScoreName } from './binary-scores.js';
export type { BootstrapOptions, Score } from './bootstrap.js';
export type { ReliabilityBin } from './calibration.js';
export * from './case-rows.js';
export * from './classification.js';
export type { PrecisionRecallCurve, RocCurve } from './curves.js';
export { distanceTransform, hausdorff95, type PixelSpacing } from './distance.js';
export * from './evaluate-cases.js';
export type {
  ClassLocalisation,
  LocalisationEvaluation,
  LocalisationOptions,
  LocalisationScoreTable,
} from './evaluate-localisation.js';
export * from './localisation.js';
export { LOCALISATION_SCORES, type LocalisationScoreName, type SliceKind } from './localisation-scores.js';
export {
  type MapMeasurement,
  type MeasureOptions,
  measureLabels,
  measureMap,
  type SurfaceOptions,
} from './map-measurement.js';
export type { EvaluatedCase, PatientScoreRule } from './patients.js';
export type { Reasons } from './reasons.js';
export * from './segmentation.js';
export type { ThresholdSweep } from './threshold-sweep.js';
