/** `prepare voc`: arguments and run. */

import { join } from 'node:path';
import type { Command } from 'commander';
import { createCommand, parseArguments } from '../cli/command.js';
import { choiceOption } from '../cli/options.js';
import { createProgress } from '../training/progress.js';
import { FAULT_POLICIES, type FaultPolicy } from './faults.js';
import { theInput } from './input-argument.js';
import { quoteSetting } from './summary.js';
import { LABEL_SOURCES, type LabelSource, prepareVocDataset, type VocDatasetSummary } from './voc-dataset.js';

export const VOC_EXAMPLES = [
  [
    'PASCAL VOC 2012: lists and labels; train_aug too where SegmentationClassAug is there',
    'node dist/prepare.js voc VOCdevkit/VOC2012 --out data/voc',
  ],
] as const;

interface VocArguments {
  input?: string;
  out: string;
  masks?: string;
  labels_from: LabelSource;
  bad_data: FaultPolicy;
  overwrite?: boolean;
}

export function vocCommand(): Command {
  return createCommand(
    'node dist/prepare.js voc',
    'Build name lists and image-level labels from a VOCdevkit; its images and masks stay where they are.',
    VOC_EXAMPLES,
  )
    .argument('[input]', 'the same as --input')
    .option('--input <folder>', 'the folder with JPEGImages, Annotations and ImageSets')
    .requiredOption('--out <folder>', 'where the lists and cls_labels_onehot.npy go (dataset.name_list_dir)')
    .option(
      '--masks <folder>',
      'augmented masks, named as the images (default: SegmentationClassAug in the input, else SegmentationClass)',
    )
    .addOption(
      choiceOption(
        '--labels_from <source>',
        'annotations: every annotated object, as the original has it; masks: the classes that the masks show',
        LABEL_SOURCES,
      ).default('annotations'),
    )
    .addOption(
      choiceOption(
        '--bad_data <policy>',
        'missing or damaged images, masks and annotations: stop, or skip them with a summary',
        FAULT_POLICIES,
      ).default('stop'),
    )
    .option('--overwrite', 'replace the lists that are there');
}

/** Makes the lists, showing progress, and returns what to say about them. */
export async function runVoc(argv: readonly string[]): Promise<string> {
  const command = vocCommand();
  const options = parseArguments<VocArguments>(command, argv);
  const root = theInput(options.input, command.args[0], 'the folder VOCdevkit/VOC2012');
  let progress: ReturnType<typeof createProgress> | undefined;
  try {
    const summary = await prepareVocDataset({
      root,
      outDir: options.out,
      masksDir: options.masks,
      labelsFrom: options.labels_from,
      faults: options.bad_data,
      overwrite: options.overwrite ?? false,
      onImage: (done, total) => {
        progress ??= createProgress({ label: 'Reading annotations', total, plainEverySeconds: 5 });
        progress.update(done);
      },
    });
    progress?.stop();
    return summaryText(root, options.out, summary);
  } finally {
    progress?.stop();
  }
}

function summaryText(root: string, outDir: string, summary: VocDatasetSummary): string {
  const { splits, masksDir, augmented } = summary;
  const counts = Object.entries(splits).map(([split, count]) => `${split} ${count}`);
  const settings = [`dataset.root_dir=${root}`, `dataset.name_list_dir=${outDir}`];
  if (!augmented) settings.push('train.split=train');
  if (masksDir !== join(root, 'SegmentationClassAug')) settings.push(`dataset.masks_dir=${masksDir}`);
  return [
    `Wrote lists (${counts.join(', ')}) and labels to ${outDir}.`,
    ...summary.skipped.map((line) => `Left out: ${line}.`),
    ...(augmented
      ? []
      : [
          `No SegmentationClassAug in ${root}: there is no train_aug list, and training uses the ${splits.train} images ` +
            'of train. With the augmented masks (docs/preparing-data.md) it would be 10582.',
        ]),
    'Train with:',
    `  node dist/train.js --dataset voc ${settings.map((s) => `--set ${quoteSetting(s)}`).join(' ')}`,
  ].join('\n');
}
