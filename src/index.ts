/**
 * The public API of the package, from the ground up: tensors, model, losses and optimizer, class activation maps,
 * datasets, training, export, file forms, scores, and Predictor for programs that only want answers.
 * Names of the Python original are kept in camelCase (get_seg_loss is getSegLoss).
 */

// Class activation maps and what is made of them: pixel labels, affinity labels, propagation, refinement.
export {
  affinityKinds,
  affinityLabel,
  cellLabels,
  type LabelPoint,
  propagateCam,
  transitionMatrix,
} from './cam/affinity.js';
export { type Boxes, boxMask } from './cam/boxes.js';
export { denormalize } from './cam/denormalize.js';
export { CRF_DEFAULTS, type CrfOptions, denseCrf, denseCrfAsync } from './cam/dense-crf.js';
export { getDownSize } from './cam/down-size.js';
export { type MultiScaleCam, type MultiScaleOptions, multiScaleCam } from './cam/multi-scale.js';
export { type PipelineOptions, type PixelLabels, pixelLabels } from './cam/pipeline.js';
export { camToLabel, ignoreOutsideBox, type Thresholds, validCam } from './cam/pseudo-labels.js';
export { getMaskByRadius, radiusMask } from './cam/radius-mask.js';
export { type ParOptions, pixelAdaptiveRefine, refinedAffLabel, refinedPseudoLabel } from './cam/refine.js';
// Configuration.
export { UsageError } from './config/errors.js';
export { type ConfigRequest, type LoadedConfig, loadConfig } from './config/load.js';
export { dumpConfig } from './config/resolve.js';
export type { Config } from './config/schema.js';
export { workDirPaths } from './config/work-dir.js';
// Datasets: what is read. registry.js registers those that come with the package.
export type { Dataset, DatasetConfig, DatasetDefinition, Warn } from './datasets/dataset.js';
export {
  type EvalItem,
  loadClsLabelsFromFilenames,
  loadSliceList,
  MedicalClsDataset,
  MedicalClsValDataset,
  type MedicalDataset,
  MedicalSliceDataset,
  type MedicalSliceOptions,
  registerMedicalDataset,
  robustReadNpy,
} from './datasets/medical-slices.js';
export { generatePhantom, type PhantomOptions, type PhantomSummary } from './datasets/phantom.js';
export { type DatasetPlugIn, loadDatasetModule } from './datasets/plug-in.js';
export { datasetNames, getDataset, registerDataset } from './datasets/registry.js';
export {
  type GreyImage,
  MASK_IGNORE,
  type Mask,
  type PixelImage,
  type RgbImage,
  type Sample,
  toRgb,
} from './datasets/sample.js';
export { splitByIndex } from './datasets/splits.js';
// Several processes that train one model: process groups over c10d, DistributedDataParallel.
export * as distributed from './distributed/index.js';
// Export: attention maps as pictures and arrays.
export { type ExportOptions, type ExportResult, exportAttentionMaps } from './export/attention-maps.js';
export { overlayCam } from './export/heatmap.js';
export { colorize, JET_LUT, VOC_PALETTE } from './export/palette.js';
export { encodePng, heatmapFileName, writePng } from './export/png.js';
// File forms: read without running anything in them, written whole or not at all.
export { type FileContent, writeFileAtomic, writeFileAtomicAsync } from './io/atomic.js';
export {
  type CheckpointValue,
  isRawTensor,
  PyFloat,
  readCheckpoint,
  readStateDict,
  writeCheckpoint,
} from './io/checkpoint.js';
export { FileAccessError, FileFormatError } from './io/file-error.js';
export {
  type NpyArray,
  type NpyData,
  type NpyDType,
  parseNpy,
  readNpy,
  readNpyHeader,
  writeNpy,
} from './io/npy.js';
export { type NpyDictValue, readNpyDict, writeNpyDict } from './io/npy-dict.js';
export {
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsHeader,
  writeSafetensors,
} from './io/safetensors.js';
export type { Event, SummaryValue } from './io/tensorboard/event.js';
export {
  type EventFile,
  EventWriter,
  eventFiles,
  readEventFile,
  readRun,
} from './io/tensorboard/event-file.js';
export { readWeightFile } from './io/weight-file.js';
// Loading: how it is fed.
export type { BatchPixels, BytePixels, FloatPixels } from './loading/batch.js';
export { batchImages } from './loading/batch-images.js';
export { batchRgb } from './loading/batch-pixels.js';
export {
  type Batch,
  createEvalLoader,
  createTrainLoader,
  type DatasetInfo,
  type EvalLoader,
  type EvalLoaderOptions,
  type LoaderOptions,
  type Position,
  type TrainLoader,
  type TrainLoaderOptions,
} from './loading/loader.js';
export { normalizeImage } from './loading/normalize.js';
export { hashSeed, Random, type RandomState } from './loading/random.js';
export type { Augmentation, AugmentOptions } from './loading/transforms.js';
// Losses and optimizer.
export {
  type AffinityBalance,
  type AffinityLoss,
  getAffLoss,
  getSegLoss,
  multilabelSoftMarginLoss,
  PAIR,
  type SegLoss,
  type SharedBatch,
} from './losses/index.js';
// Scores: numbers in, numbers out.
export * from './metrics/index.js';
// Model: Mix-Transformer encoder, CAM classifier, SegFormer head, affinity projection.
export { type Backbone, backboneNames, getBackbone } from './models/backbones.js';
export { convertPretrained } from './models/pretrained.js';
export { StateDictMismatch } from './models/state-dict.js';
export {
  type Amp,
  type ParameterGroups,
  type Wanted,
  WeTr,
  type WeTrOptions,
  type WeTrOutput,
} from './models/wetr.js';
// Tensors of libtorch, their memory, devices and seeds.
export { type BuildInfo, TorchError } from './native/index.js';
export {
  learningRateFactor,
  type OptimizerState,
  type ParameterGroup,
  PolyWarmupAdamW,
  type PolyWarmupOptions,
} from './optim/poly-warmup-adamw.js';
export type { Prediction } from './predictor/compute.js';
export type { ImageInput, ImagePixels } from './predictor/image.js';
export { loadCheckpoint } from './predictor/weights.js';
// Inference for embedders: a trained model behind promises, the event loop stays free.
export { Predictor, type PredictorOptions } from './predictor.js';
export { IMAGE_MEAN, IMAGE_STD } from './tensor/image-statistics.js';
export {
  buildInfo,
  type Conv2dOptions,
  type Device,
  DTYPE_NAMES,
  type DType,
  deviceAvailable,
  emptyCache,
  expectShape,
  getNumThreads,
  getRngState,
  isDeterministic,
  keep,
  type MemoryUse,
  memory,
  noGrad,
  type Operand,
  type RawTensor,
  scope,
  setDeterministic,
  setNumThreads,
  setRngState,
  setupSeed,
  Tensor,
  type TensorData,
  typedView,
  whyUnavailable,
} from './tensor/index.js';
// Training: the whole run, and the parts that a loop of one's own is made of.
export {
  finalCheckpoint,
  loadWeights,
  type Progress,
  resumeTraining,
  saveTraining,
  saveWeights,
} from './training/checkpoints.js';
export { getDevice } from './training/device.js';
export { calEta, formatDuration } from './training/eta.js';
export {
  type EvaluateSplitOptions,
  type EvaluationReport,
  evaluateSplit,
} from './training/evaluate-split.js';
export { type ExportedSplit, type ExportSplitOptions, exportSplit } from './training/export-split.js';
export { TrainLog } from './training/log.js';
export { type Logger, type LoggerOptions, type LogLevel, setupLogger } from './training/logging.js';
export { loadPretrained } from './training/pretrained.js';
export { type Phase, phaseOf } from './training/schedule.js';
export { buildModel, buildOptimizer, stepOptions } from './training/setup.js';
export { type StepOptions, type StepResult, trainStep } from './training/step.js';
export type { Summary } from './training/summary.js';
export { NonFiniteLoss, type TrainOptions, train } from './training/train.js';
export { type ValidateOptions, validate } from './training/validate.js';
export type { ClassScores, PixelScores, ValidationScores } from './training/validation-scores.js';
