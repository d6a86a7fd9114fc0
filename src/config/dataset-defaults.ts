/** Defaults that depend on the dataset and on other keys, as the original's training scripts have them. */
import path from 'node:path';
import { defaultPretrainedPath } from './pretrained-files.js';

/** Datasets of the original, which its gen_attn.py recognises in root_dir (get_dataset). */
export const ORIGINAL_DATASETS = ['lasc', 'brats', 'kits', 'coco', 'voc'] as const;

interface Family {
  switchIter(maxIters: number): number;
  labelSource: 'refined_pseudo_label' | 'refined_aff_label';
  parIterations: number;
  testLongSide: number;
  masksDir(rootDir: string): string;
  needsNameLists: boolean;
  /** What people compare such sets by. */
  selectMetric: string;
}

/** Index-split slices, with masks in a folder beside theirs. Every dataset is one unless listed below. */
const MEDICAL: Family = {
  switchIter: (maxIters) => Math.floor(maxIters / 2),
  labelSource: 'refined_aff_label',
  parIterations: 10,
  testLongSide: 0,
  masksDir: (rootDir) => path.join(path.dirname(rootDir), 'masks'),
  needsNameLists: false,
  selectMetric: 'auroc',
};

const FAMILIES = new Map<string, Family>([
  [
    'voc',
    {
      switchIter: () => 6000,
      labelSource: 'refined_pseudo_label',
      parIterations: 10,
      testLongSide: 512,
      masksDir: (rootDir) => path.join(rootDir, 'SegmentationClassAug'),
      needsNameLists: true,
      selectMetric: 'segMiou',
    },
  ],
  [
    'coco',
    {
      switchIter: () => 15000,
      labelSource: 'refined_aff_label',
      parIterations: 15,
      testLongSide: 512,
      masksDir: (rootDir) => path.join(rootDir, 'SegmentationClass'),
      needsNameLists: true,
      selectMetric: 'segMiou',
    },
  ],
]);

export const familyOf = (datasetName: string): Family => FAMILIES.get(datasetName) ?? MEDICAL;

/** The longest of `names` that occurs in the path, case aside; undefined when none does. */
export function inferDatasetName(rootDir: string, names: readonly string[]): string | undefined {
  const folded = rootDir.toLowerCase();
  const byLength = names.toSorted((a, b) => b.length - a.length);
  return byLength.find((name) => folded.includes(name.toLowerCase()));
}

/** A dependent default: what it is computed from, in schema keys, and how. */
interface DerivedDefault {
  key: string;
  from: readonly string[];
  compute(...values: never[]): unknown;
}

/** Computed in this order, each only where the key is absent and what it needs is sound. */
export const DERIVED_DEFAULTS: readonly DerivedDefault[] = [
  { key: 'dataset.masks_dir', from: ['dataset.name', 'dataset.root_dir'], compute: masksDir },
  {
    key: 'dataset.split.by',
    from: ['dataset.split.file'],
    compute: (file: string | undefined) => (file === undefined ? 'index' : 'file'),
  },
  {
    key: 'dataset.strict_split',
    from: ['dataset.split.by'],
    compute: (by: string) => by !== 'index',
  },
  { key: 'work_dir.dir', from: ['dataset.name'], compute: (name: string) => `work_dir_${name}` },
  {
    key: 'backbone.pretrained_path',
    from: ['backbone.config'],
    compute: defaultPretrainedPath,
  },
  {
    key: 'train.aff_label_switch_iter',
    from: ['dataset.name', 'train.max_iters'],
    compute: (name: string, maxIters: number) => familyOf(name).switchIter(maxIters),
  },
  {
    key: 'train.select.metric',
    from: ['dataset.name'],
    compute: (name: string) => familyOf(name).selectMetric,
  },
  {
    key: 'train.select.mode',
    from: ['train.select.metric'],
    compute: (metric: string) => (metric === 'loss' ? 'min' : 'max'),
  },
  {
    // The classification phase includes iteration cam_iters, counted from 0: see phaseOf.
    key: 'train.select.after',
    from: ['train.cam_iters'],
    compute: (camIters: number) => camIters + 1,
  },
  {
    key: 'train.aff_label_source',
    from: ['dataset.name'],
    compute: (name: string) => familyOf(name).labelSource,
  },
  {
    key: 'cam.par.num_iter',
    from: ['dataset.name'],
    compute: (name: string) => familyOf(name).parIterations,
  },
  {
    key: 'test.long_side',
    from: ['dataset.name'],
    compute: (name: string) => familyOf(name).testLongSide,
  },
];

function masksDir(name: string, rootDir: string): string {
  return familyOf(name).masksDir(rootDir);
}
