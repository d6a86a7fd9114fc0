/**
 * Every configuration key, with the original YAML files' own names: type, limits, default.
 * `dataset-defaults.ts` fills the keys whose default depends on other keys; those have none here.
 */
import { z } from 'zod';
import { bool, fraction, int, list, num, numberOr, oneOf, pair, pattern, text } from './fields.js';

export const BACKBONES = ['mit_b0', 'mit_b1', 'mit_b2', 'mit_b3', 'mit_b4', 'mit_b5'] as const;

const SECTION = 'a section of keys';

// The prefault reads an absent section as an empty one: its defaults apply, its required keys are reported.
const section = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, { error: SECTION }).prefault({} as never);

/** Scores that a normalised CAM, in [0, 1], is compared with. */
const threshold = () => num(0, 1);

const strideWhat = 'four positive integers, one for each stage';
const splitWhat = 'two indices [val_start, train_start] with val_start < train_start';
const intensityWhat = 'raw, minmax, percentile or a window [low, high] with low < high';
const rangeWhat = 'two factors [smallest, largest] above 0, in this order';

const backbone = {
  config: oneOf(BACKBONES).describe('Mix Transformer variant.'),
  stride: z
    .tuple([int(1), int(1), int(1), int(1)], { error: strideWhat })
    .default([4, 2, 2, 1])
    .describe('Stride of each patch embedding.'),
  pooling: oneOf(['gmp', 'gap'])
    .default('gmp')
    .describe('Global max or average pooling before the classifier.'),
  pretrained: oneOf(['auto', 'required', 'none'])
    .default('auto')
    .describe('ImageNet weights: auto warns and goes on without the file, required stops.'),
  pretrained_path: text('the path of a weight file').describe(
    'Default: pretrained/{config}.pth; .safetensors and .bin of the same name are found as well.',
  ),
  comments: z.string({ error: 'a text' }).nullable().default(null).describe('For people; never read.'),
};

const share = (value: number) => num(0, 1).default(value);

const split = {
  by: oneOf(['index', 'patient', 'file']).describe(
    'index: dataset.slice_split; patient: by the shares below; file: as written there. ' +
      'Default: file where one is given, else index.',
  ),
  file: text('the path of a JSON file')
    .optional()
    .describe('{"train": [...], "val": [...]}: names of slices or of patients.'),
  train: share(0.8).describe('by: patient. Share of the slices; the three add up to 1.'),
  val: share(0.2),
  test: share(0),
  seed: int(0, 2 ** 32 - 1)
    .default(1)
    .describe('by: patient. Of the random order of patients.'),
  stratify: bool().default(true).describe('by: patient. Keep the share of positive slices alike.'),
};

const dataset = {
  name: text('the name of a dataset').describe('Default: inferred from root_dir, and said.'),
  root_dir: text('the path of a data folder').describe('Slices ({name}_{label}.npy) or images.'),
  masks_dir: text('the path of a folder of masks').describe('Ground truth for scores; may be missing.'),
  name_list_dir: text('the path of a folder of name lists')
    .optional()
    .describe('VOC and COCO: {split}.txt lists.'),
  slice_split: pair(int(0), splitWhat)
    .refine(([valStart, trainStart]) => valStart < trainStart, { error: splitWhat })
    .optional()
    .describe('Medical sets: sorted slices [val_start, train_start) validate, later ones train.'),
  split: section(split),
  strict_split: bool().describe(
    'Refuse splits with one patient on both sides. Default: true for every form but by index, which only warns.',
  ),
  patient_pattern: pattern('a regular expression with one group, the patient')
    .optional()
    .describe("Reads the patient from a slice's name. Default: all before _{slice}_{label}."),
  num_classes: int(2, 255).describe('Classes, background included. Masks are uint8.'),
  crop_size: int(64).default(320).describe('Side of the square training crop, pixels.'),
  resize_range: pair(num(0, undefined, true), 'two sizes in pixels')
    .optional()
    .describe('Accepted and unused, as in the original, whose resizing is commented out.'),
  rescale_range: pair(num(0, undefined, true), rangeWhat)
    .refine(([smallest, largest]) => smallest <= largest, { error: rangeWhat })
    .default([0.5, 2])
    .describe('Limits of the random rescale factor.'),
  intensity: z
    .union([z.enum(['raw', 'minmax', 'percentile']), pair(z.number(), intensityWhat)], {
      error: intensityWhat,
    })
    .refine((rule) => typeof rule === 'string' || rule[0] < rule[1], { error: intensityWhat })
    .default('raw')
    .describe(
      'How stored values become 0..255; percentile is of each slice, [low, high] one window for all.',
    ),
  intensity_jitter: num(0, 0.9)
    .default(0)
    .describe('Training intensities are scaled by a random factor from 1 - this to 1 + this. 0: never.'),
  spacing: pair(num(0, undefined, true), 'two distances in mm [between rows, between columns]')
    .optional()
    .describe(
      'Pixel size for distances in mm. Default: of each patient, from the dataset.json of prepare nifti.',
    ),
  ignore_index: int(0, 255).default(255).describe('Label value that no loss or score counts.'),
  bad_data: oneOf(['stop', 'skip'])
    .default('stop')
    .describe('At a file that is missing or damaged: stop, or go on without the sample and say so.'),
  mmap: bool()
    .default(false)
    .describe(
      'Memory-map .npy files instead of reading them: one copy less. They must not become shorter meanwhile.',
    ),
  cache_bytes: int(0)
    .default(512 * 2 ** 20)
    .describe('Most memory that decoded slices stay in, for all loader threads of a process together.'),
};

const work_dir = {
  dir: text('the path of a folder').describe('Default: work_dir_{dataset.name}.'),
  ckpt_dir: text('the name of a folder').default('checkpoints').describe('Under dir.'),
  pred_dir: text('the name of a folder').default('predictions').describe('Under dir.'),
  segs_dir: text('the name of a folder').default('segs').describe('Accepted and unused, as in the original.'),
  tb_logger_dir: text('the name of a folder').default('tb_logger').describe('Under dir.'),
};

const loss_weights = {
  cls: num(0).default(1).describe('Classification loss.'),
  seg: num(0).default(0.1).describe('Segmentation loss.'),
  aff: num(0).default(0.1).describe('Affinity loss.'),
};

/** Validation scores that may choose the best checkpoint. */
export const SELECT_METRICS = [
  'auroc',
  'mAP',
  'accuracy',
  'f1',
  'sensitivity',
  'specificity',
  'loss',
  'camDice',
  'segDice',
  'pointingGame',
  'segMiou',
  'camMiou',
  'affMiou',
] as const;

const select = {
  metric: oneOf(SELECT_METRICS).describe(
    'Validation score of which the best keeps its checkpoint. Default: segMiou for VOC and COCO, else auroc.',
  ),
  mode: oneOf(['max', 'min']).describe('Default: min for loss, else max.'),
  after: int(0).describe(
    'Checkpoints of this many iterations or fewer yield to any later one. Default: all of classification only.',
  ),
};

const tensorboard = {
  enabled: bool().default(true).describe('Curves and pictures for TensorBoard in work_dir.tb_logger_dir.'),
  images: int(0).default(4).describe('Most images of a batch in its pictures. 0: curves only.'),
};

const train = {
  split: text('the name of a split').default('train').describe('What to train on.'),
  samples_per_gpu: int(1).describe('Batch size of one process.'),
  accumulate: int(1)
    .default(1)
    .describe('Batches that make one iteration together: a batch as many times larger in the memory of one.'),
  max_iters: int(1).describe('Iterations in all.'),
  cam_iters: int(0).describe('Iterations of classification only, before CAM labels are used.'),
  eval_iters: int(1).describe('Validation and a checkpoint every so many iterations.'),
  log_iters: int(1).default(200).describe('A log line every so many iterations.'),
  num_workers: int(0).default(4).describe('Threads that prepare batches, at most one for each core.'),
  seed: int(0, 2 ** 32 - 1)
    .default(1)
    .describe('Of every random draw; 1 in the original.'),
  aff_label_switch_iter: int(0).describe('Iteration after which labels come from propagated CAMs.'),
  aff_label_source: oneOf(['refined_pseudo_label', 'refined_aff_label']).describe(
    'Labels behind the affinity loss after the switch.',
  ),
  aff_label_point: oneOf(['corner', 'centre'])
    .default('corner')
    .describe(
      "Where in its cell affinity's label is read; corner as in the original, centre where maps have it.",
    ),
  aff_balance: oneOf(['pairs', 'kinds'])
    .default('pairs')
    .describe(
      'Means in the affinity loss: of pairs alike and unlike, as in the original; or of background, object and unlike pairs.',
    ),
  select: section(select),
  early_stop: int(1)
    .optional()
    .describe('End after so many validations in a row without a better one, select.after being past.'),
  radius: int(1).default(8).describe('Reach of an affinity pair, in cells of the 1/16 grid.'),
  seg_detach: bool().default(false).describe('Keep the segmentation loss out of the encoder.'),
  positive_weight: numberOr('balanced')
    .default(1)
    .describe('Factor on the classification loss of positive labels; balanced: negatives over positives.'),
  sampling: oneOf(['shuffle', 'balanced'])
    .default('shuffle')
    .describe('balanced: an epoch holds as many images with a class as without, the rest waits for another.'),
  non_finite: oneOf(['stop', 'skip'])
    .default('stop')
    .describe('What to do at a NaN or infinite loss or gradient.'),
  amp: oneOf(['none', 'bf16'])
    .default('none')
    .describe('Precision of products and convolutions, in every command: float32, or bfloat16 by autocast.'),
  deterministic: bool()
    .default(false)
    .describe('In every command: only operations that give the same bits each time; others are refused.'),
  cuda_graphs: oneOf(['auto', 'off'])
    .default('auto')
    .describe(
      'On CUDA, launch the kernels of CAM passes (with cam.mode eval) and of learning by one call, where shapes repeat.',
    ),
  gradient_compression: oneOf(['none', 'fp16'])
    .default('none')
    .describe('How gradients travel between processes: as float32, or as float16 for slow networks.'),
  drop_path: fraction().default(0.1).describe('Largest stochastic-depth rate, in the last block.'),
  loss_weights: section(loss_weights),
  tensorboard: section(tensorboard),
};

const par = {
  num_iter: int(1).describe('Rounds of pixel-adaptive refinement.'),
  dilations: list(int(1), 'a list of positive integers')
    .default([1, 2, 4, 8, 12, 24])
    .describe('Distances of the 8 neighbours, pixels.'),
};

const cam = {
  bkg_score: threshold().default(0.45).describe('A CAM at or below it is background.'),
  high_thre: threshold()
    .default(0.55)
    .describe('A CAM above it is sure foreground; between the two is ignored.'),
  low_thre: threshold().default(0.35).describe('A CAM at or below it is sure background.'),
  aff_thre: threshold().optional().describe('Accepted and unused, as in the original.'),
  scales: list(num(0, undefined, true), 'a list of factors above 0')
    .default([1, 0.5, 1.5])
    .describe('Input scales of the multi-scale CAM; scale 1 always runs, and first.'),
  mode: oneOf(['eval', 'train'])
    .default('eval')
    .describe("Model mode of training's CAM passes; the original's is train."),
  share_scale_1: bool()
    .default(false)
    .describe(
      'Take the maps at scale 1 from the training forward, with its drop path, instead of a pass of their own: less to compute.',
    ),
  par: section(par),
};

const val = {
  split: text('the name of a split').default('val').describe('What validation and export read.'),
  batch_size: int(1).default(1).describe('Images in one validation or export pass.'),
  cam: bool().default(true).describe('Score CAMs and segmentations too, where masks exist.'),
  aff: bool()
    .default(true)
    .describe('With cam: score propagated CAMs too. Memory grows with pixels squared.'),
  patient_top_k: int(1)
    .default(1)
    .describe("A patient's score is the mean of its so many highest slices; 1: the highest."),
  negative_maps: bool()
    .default(true)
    .describe('With cam: score maps of images without a class too, the area that lights up for nothing.'),
};

const test = {
  scales: list(num(0, undefined, true), 'a list of factors above 0')
    .default([1, 0.5, 0.75])
    .describe('Input scales of the segmentation; scale 1 always runs, and first.'),
  flip: bool().default(true).describe('Mean with the mirrored image, at each scale.'),
  long_side: int(0).describe(
    'The longer side is resized to this first; 0: never. Default: VOC and COCO 512, else 0.',
  ),
  crf: bool().default(false).describe('Refine predictions with a fully-connected CRF.'),
  cam: bool().default(false).describe('Score class activation maps too.'),
};

const optimizer = {
  type: oneOf(['AdamW']).default('AdamW'),
  learning_rate: num(0, undefined, true).describe("The encoder's; the heads train at ten times this."),
  betas: pair(fraction(), 'two numbers from 0 to below 1').default([0.9, 0.999]),
  weight_decay: num(0).default(0.01),
};

const scheduler = {
  warmup_iter: int(0).default(1500).describe('Iterations of linear warm-up.'),
  warmup_ratio: num(0, 1).default(1e-6).describe('Share of the learning rate that warm-up starts from.'),
  power: num(0).default(1).describe('Exponent of the polynomial decay.'),
};

export const configSchema = z.strictObject(
  {
    backbone: section(backbone),
    dataset: section(dataset),
    work_dir: section(work_dir),
    train: section(train),
    cam: section(cam),
    val: section(val),
    test: section(test),
    optimizer: section(optimizer),
    scheduler: section(scheduler),
  },
  { error: SECTION },
);

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** A checked, complete and frozen configuration. */
export type Config = DeepReadonly<z.output<typeof configSchema>>;
