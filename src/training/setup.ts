import { existsSync } from 'node:fs';
import { UsageError } from '../config/errors.js';
import type { Config } from '../config/schema.js';
import { readWeightFile } from '../io/weight-file.js';
import { convertPretrained } from '../models/pretrained.js';
import { WeTr } from '../models/wetr.js';
import { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import type { Device, RawTensor } from '../tensor/index.js';
import { positiveWeights } from './class-weights.js';
import type { StepOptions } from './step.js';

/** The model that a configuration describes, freshly initialised. */
export function buildModel(config: Config, device: Device): WeTr {
  const { backbone, dataset, train } = config;
  return new WeTr({
    backbone: backbone.config,
    numClasses: dataset.num_classes,
    stride: backbone.stride,
    pooling: backbone.pooling,
    dropPath: train.drop_path,
  }).to(device);
}

/**
 * Loads ImageNet weights into the encoder as `backbone.pretrained` says.
 * @returns what to tell the user
 * @throws UsageError when they are required and missing
 */
export function loadPretrained(model: WeTr, config: Config): { loaded: boolean; message: string } {
  const { pretrained, pretrained_path: path, config: name } = config.backbone;
  if (pretrained === 'none') return { loaded: false, message: 'Encoder starts from random weights' };
  if (!existsSync(path)) {
    const missing = `no ImageNet weights for ${name} at ${path}`;
    if (pretrained === 'required')
      throw new UsageError(
        `backbone.pretrained is 'required' but there are ${missing}. See pretrained/README.md.`,
      );
    return {
      loaded: false,
      message: `WARNING: ${missing}; the encoder starts from random weights and will need far more training. See pretrained/README.md, or set backbone.pretrained: none`,
    };
  }
  const state = model.stateDict();
  for (const [entry, tensor] of readPretrained(path)) state.set(`encoder.${entry}`, tensor);
  model.loadStateDict(state, path);
  return { loaded: true, message: `Encoder starts from ImageNet weights: ${path}` };
}

function readPretrained(path: string): Map<string, RawTensor> {
  const weights = readWeightFile(path);
  try {
    return convertPretrained(weights, path);
  } catch (error) {
    throw new UsageError(`${(error as Error).message}. See pretrained/README.md.`, { cause: error });
  }
}

/** The original's four groups: encoder, frozen encoder norms, and the two heads at ten times the rate. */
export function buildOptimizer(model: WeTr, config: Config): PolyWarmupAdamW {
  const { optimizer, scheduler, train } = config;
  const { learning_rate: lr, weight_decay: weightDecay } = optimizer;
  const groups = model.parameterGroups();
  // Their rate is 0 for the whole training: gradients for them would be work thrown away.
  for (const parameter of groups.backboneNorm) parameter.requiresGrad = false;
  return new PolyWarmupAdamW(
    [
      { parameters: groups.backbone, lr, weightDecay },
      { parameters: groups.backboneNorm, lr: 0, weightDecay: 0 },
      { parameters: groups.classifier, lr: lr * 10, weightDecay },
      { parameters: groups.decoder, lr: lr * 10, weightDecay },
    ],
    {
      betas: optimizer.betas,
      warmupIter: scheduler.warmup_iter,
      maxIter: train.max_iters,
      warmupRatio: scheduler.warmup_ratio,
      power: scheduler.power,
    },
  );
}

/**
 * What a step needs of the configuration.
 * @param labels of the training split, which `train.positive_weight: balanced` is computed from
 */
export function stepOptions(config: Config, device: Device, labels: readonly Uint8Array[] = []): StepOptions {
  const { cam, dataset, train, backbone } = config;
  return {
    scales: cam.scales,
    thresholds: {
      bkgScore: cam.bkg_score,
      highThre: cam.high_thre,
      lowThre: cam.low_thre,
      ignoreIndex: dataset.ignore_index,
    },
    par: { numIter: cam.par.num_iter, dilations: cam.par.dilations },
    radius: train.radius,
    affinitySource: train.aff_label_source,
    camMode: cam.mode,
    segDetach: train.seg_detach,
    weights: train.loss_weights,
    positiveWeights: positiveWeights(train.positive_weight, labels, dataset.num_classes - 1),
    device,
    stride: backbone.stride.reduce((product, s) => product * s, 1),
  };
}
