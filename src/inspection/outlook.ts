/** What a configuration will do with the data, and what is likely to go wrong. */
import { existsSync } from 'node:fs';
import { cellSide, smallestSide } from '../config/checks.js';
import type { Config } from '../config/schema.js';
import { leakage, type SplitReport } from '../datasets/split-report.js';
import type { duplicatesIn, SplitNumbers } from './facts.js';

export interface Outlook {
  /** Training images after random rescaling, pixels: the shortest and the longest side that can come up. */
  rescaledSides: [number, number];
  cropSize: number;
  stepsPerEpoch: number;
  epochs: number;
  iterations: { classification: number; camLabels: number; affinityLabels: number };
  intensity: Config['dataset']['intensity'];
  sampling: Config['train']['sampling'];
  /** How splits are made; `list` where the dataset has name lists. */
  split: Config['dataset']['split']['by'] | 'list';
  /** The file that the encoder starts from; null: random weights. */
  pretrained: string | null;
}

const sidesOf = ({ sizes }: SplitNumbers): number[] =>
  Object.keys(sizes).flatMap((size) => size.split(' x ').map(Number));

export function outlookOf({ train, dataset, backbone }: Config, training: SplitNumbers): Outlook {
  const sides = sidesOf(training);
  const [smallest, largest] = dataset.rescale_range;
  const { samples, positives } = training;
  const epoch = train.sampling === 'balanced' ? 2 * Math.min(positives, samples - positives) : samples;
  const stepsPerEpoch = Math.floor(epoch / (train.samples_per_gpu * train.accumulate));
  const { cam_iters, aff_label_switch_iter: switchIter, max_iters } = train;
  // Iterations count from 0 and a phase ends with its last one: see phaseOf.
  const classification = Math.min(cam_iters + 1, max_iters);
  const beforeSwitch = Math.min(Math.max(switchIter + 1, classification), max_iters);
  const isThere = backbone.pretrained !== 'none' && existsSync(backbone.pretrained_path);
  return {
    rescaledSides: [Math.trunc(Math.min(...sides) * smallest), Math.trunc(Math.max(...sides) * largest)],
    cropSize: dataset.crop_size,
    stepsPerEpoch,
    epochs: stepsPerEpoch === 0 ? 0 : max_iters / stepsPerEpoch,
    iterations: {
      classification,
      camLabels: beforeSwitch - classification,
      affinityLabels: max_iters - beforeSwitch,
    },
    intensity: dataset.intensity,
    sampling: train.sampling,
    split: dataset.name_list_dir === undefined ? dataset.split.by : 'list',
    pretrained: isThere ? backbone.pretrained_path : null,
  };
}

/** Below and above these shares of positives, classes are called unbalanced. */
const RARE = 0.1;

/** Objects of fewer cells are called small; those of the demo, for which docs/evaluation.md has figures, cover 1 to 3. */
const FEW_CELLS = 4;

/** Sentences about what should be looked at before training; the gravest first. */
export function warningsFor(
  config: Config,
  splits: readonly SplitNumbers[],
  duplicates: ReturnType<typeof duplicatesIn>,
  report: SplitReport,
): string[] {
  const leak = leakage(report);
  const across = duplicates.across.length;
  return [
    ...splits.flatMap(unreadable),
    ...(leak ? [leak] : []),
    ...(across > 0
      ? [`${count(across, 'image')} in more than one split, pixel by pixel: ${firstOf(duplicates.across)}`]
      : []),
    ...(duplicates.within.length > 0
      ? [
          `${count(duplicates.within.length, 'image')} more than once within a split: ${firstOf(duplicates.within)}`,
        ]
      : []),
    ...splits.flatMap((split) => contradictions(split)),
    ...splits.flatMap((split) => offScale(split, config)),
    ...splits.flatMap((split) => tooSmall(split, config)),
    ...splits.flatMap((split) => tooFew(split, config)),
    ...splits.flatMap((split) => imbalance(split, config)),
    ...splits.flatMap((split) => smallObjects(split, config)),
  ];
}

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
const firstOf = (groups: readonly string[][]) =>
  `${groups[0]!.join(' = ')}${groups.length > 1 ? ', ...' : ''}`;

function unreadable({ split, unreadable: files }: SplitNumbers): string[] {
  return files.length === 0
    ? []
    : [`${split}: ${count(files.length, 'file')} cannot be read. ${files[0]!.why}`];
}

function contradictions({ split, masks }: SplitNumbers): string[] {
  const { labelWithoutMask: without, maskWithoutLabel: extra } = masks;
  return [
    ...(without.length > 0
      ? [
          `${split}: ${count(without.length, 'image')} with a class that the mask lacks, the first is ${without[0]}`,
        ]
      : []),
    ...(extra.length > 0
      ? [
          `${split}: ${count(extra.length, 'mask')} with a class that the label denies, the first is ${extra[0]}`,
        ]
      : []),
  ];
}

function offScale({ split, intensity }: SplitNumbers, { dataset }: Config): string[] {
  if (!intensity || dataset.intensity !== 'raw') return [];
  const { min, max } = intensity;
  if (min < 0 || max > 255)
    return [
      `${split}: values from ${min} to ${max} are used as they are, but the network expects 0 to 255. ` +
        'Set dataset.intensity to percentile or a window [low, high].',
    ];
  return max > 0 && max <= 1
    ? [`${split}: values from ${min} to ${max} look black to the network. Set dataset.intensity: [0, 1].`]
    : [];
}

function tooSmall({ split, sizes }: SplitNumbers, { cam, backbone, val }: Config): string[] {
  const scale = Math.min(1, ...cam.scales);
  const needed = Math.ceil(smallestSide(backbone.stride) / scale);
  const small = Object.keys(sizes).filter((size) => Math.min(...size.split(' x ').map(Number)) < needed);
  // Training crops are padded; whole images are not.
  return small.length === 0 || split !== val.split
    ? []
    : [
        `${split}: images of ${small[0]} are too small for scale ${scale} of cam.scales, which needs ${needed} a side`,
      ];
}

function tooFew({ split, samples }: SplitNumbers, { train }: Config): string[] {
  return split === train.split && samples < train.samples_per_gpu
    ? [
        `${split}: ${count(samples, 'image')} do not fill one batch of train.samples_per_gpu ${train.samples_per_gpu}`,
      ]
    : [];
}

function imbalance({ split, prevalence, samples, perClass }: SplitNumbers, { train, val }: Config): string[] {
  // Photographs of several classes all have one: balance is a question of each class.
  if (perClass.length > 1 && prevalence === 1) return [];
  if (prevalence === 0 || prevalence === 1) {
    const which = prevalence === 0 ? 'no' : 'only';
    const lost = split === val.split ? ': AUROC is undefined' : '';
    return [`${split}: ${which} positive images among ${samples}${lost}`];
  }
  const helped = train.sampling !== 'shuffle' || train.positive_weight !== 1;
  return split === train.split && Math.min(prevalence, 1 - prevalence) < RARE && !helped
    ? [
        `${split}: ${(100 * prevalence).toFixed(1)} % positive. Consider train.sampling: balanced or ` +
          'train.positive_weight: balanced.',
      ]
    : [];
}

function smallObjects({ split, masks }: SplitNumbers, { train, backbone }: Config): string[] {
  const side = cellSide(backbone.stride);
  const cells = (masks.medianPixels ?? Number.POSITIVE_INFINITY) / side ** 2;
  const kept = train.aff_label_point === 'centre' && train.aff_balance === 'kinds';
  return split === train.split && cells < FEW_CELLS && !kept
    ? [
        `${split}: in half of the images that show a class it covers at most ${cells.toFixed(1)} cells of ${side} x ${side} pixels, ` +
          'and objects of few cells are lost by affinity as the original learns it. Consider train.aff_label_point: centre ' +
          'and train.aff_balance: kinds (docs/evaluation.md, Small objects).',
      ]
    : [];
}
