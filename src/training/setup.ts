import { cellSide } from '../config/checks.js';
import type { Config } from '../config/schema.js';
import { WeTr } from '../models/wetr.js';
import { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import { type Device, setDeterministic } from '../tensor/index.js';
import { positiveWeights } from './class-weights.js';
import type { StepOptions } from './step-options.js';

/**
 * The model that a configuration describes, freshly initialised; from here on the process computes as `train.deterministic`
 * asks for.
 */
export function buildModel(config: Config, device: Device): WeTr {
  const { backbone, dataset, train } = config;
  setDeterministic(train.deterministic);
  return new WeTr({
    backbone: backbone.config,
    numClasses: dataset.num_classes,
    stride: backbone.stride,
    pooling: backbone.pooling,
    dropPath: train.drop_path,
    amp: train.amp,
    cudaGraphs: train.cuda_graphs === 'auto',
  }).to(device);
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
      stopAtNonFinite: train.non_finite === 'stop',
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
    shareScaleOne: cam.share_scale_1,
    segDetach: train.seg_detach,
    weights: train.loss_weights,
    affLabelPoint: train.aff_label_point,
    affBalance: train.aff_balance,
    positiveWeights: positiveWeights(train.positive_weight, labels, dataset.num_classes - 1),
    device,
    stride: cellSide(backbone.stride),
    pictures: train.tensorboard.enabled ? train.tensorboard.images : 0,
  };
}
