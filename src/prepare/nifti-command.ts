/** `prepare nifti`: arguments and run. */

import { type Command, Option } from 'commander';
import { createCommand, parseArguments } from '../cli/command.js';
import { choiceOption, integerOption } from '../cli/options.js';
import { expected, UsageError } from '../config/errors.js';
import { createProgress } from '../training/progress.js';
import { some } from './case-folders.js';
import { theInput } from './input-argument.js';
import { parseWindow, type WindowRule, windowText } from './intensity-window.js';
import { type NiftiDatasetSummary, prepareNiftiDataset } from './nifti-dataset.js';
import { SLICE_AXES, type SliceAxis } from './slice-geometry.js';
import { type EmptyPolicy, parseEmptyPolicy, SMALL_POLICIES, type SmallPolicy } from './slice-selection.js';
import { datasetOfPrefix, plural, summaryText } from './summary.js';

export const NIFTI_EXAMPLES = [
  [
    'left atrium, Medical Segmentation Decathlon',
    `node dist/prepare.js nifti --input Task02_Heart/imagesTr --labels Task02_Heart/labelsTr --positive 1 --out data/LASC`,
  ],
  [
    'brain tumours, FLAIR being channel 0 of four',
    `node dist/prepare.js nifti --input Task01_BrainTumour/imagesTr --labels Task01_BrainTumour/labelsTr --channel 0 ` +
      '--positive 1,2,3 --out data/BraTS',
  ],
  [
    'one brain and an atlas: slices with more than 20 pixels of thalamus',
    `node dist/prepare.js nifti --input ch2bet.nii.gz --labels aal.nii.gz --positive 77,78 --min_area 21 --out data/thalamus`,
  ],
  [
    'kidney tumours: KiTS19, 21 or 23 with its case folders; label 2 is tumour',
    'node dist/prepare.js nifti kits23/dataset --out data/KITS',
  ],
] as const;

interface NiftiArguments {
  input?: string;
  labels?: string;
  positive?: number[];
  out: string;
  prefix?: string;
  axis: SliceAxis;
  channel?: number;
  window?: WindowRule;
  min_area: number;
  small: SmallPolicy;
  empty: EmptyPolicy;
  ignore_affine?: boolean;
  overwrite?: boolean;
}

export function niftiCommand(): Command {
  return createCommand(
    'node dist/prepare.js nifti',
    'Turn NIfTI volumes (.nii, .nii.gz), and label volumes where there are any, into labelled slices with masks.',
    NIFTI_EXAMPLES,
  )
    .argument('[input]', 'the same as --input')
    .option(
      '--input <path>',
      'a volume, a folder of volumes, or a folder of KiTS cases, which hold their labels',
    )
    .option(
      '--labels <path>',
      'a mask or atlas volume, or a folder with one of the same name for each volume',
    )
    .addOption(
      new Option(
        '--positive <labels>',
        'label numbers that count as positive (default: all but 0; 2, tumour, for KiTS)',
      ).argParser(parseLabels),
    )
    .requiredOption('--out <folder>', 'where imageSlice/, masks/ and dataset.json go')
    .addOption(
      new Option(
        '--prefix <name>',
        'first part of the names (default: BRATS for volumes named so, KITS for KiTS, else LASC)',
      ).argParser(parsePrefix),
    )
    .addOption(
      choiceOption(
        '--axis <axis>',
        'axial, coronal or sagittal, turned as in radiology; x, y or z as stored',
        SLICE_AXES,
      ).default('axial'),
    )
    .addOption(integerOption('--channel <n>', 'channel of 4-D volumes, from 0', 0, 9999))
    .addOption(
      new Option(
        '--window <low,high>',
        'intensities that become 0 and 255, or percentiles of non-zero voxels (default: p1,p99; -160,240 for KiTS)',
      ).argParser(parseWindow),
    )
    .addOption(integerOption('--min_area <pixels>', 'least area of a positive slice', 1, 1e9).default(20))
    .addOption(
      choiceOption(
        '--small <policy>',
        'slices with less than that, but some: skip, negative, positive',
        SMALL_POLICIES,
      ).default('skip'),
    )
    .addOption(
      new Option(
        '--empty <policy>',
        'slices without tissue: keep, skip (under 1 % tissue), or least tissue in pixels',
      )
        .argParser(parseEmptyPolicy)
        .default('skip'),
    )
    .option('--ignore_affine', 'trust the number of voxels where the affines of volume and labels differ')
    .option('--overwrite', 'replace the slices that are there');
}

/** Makes the slices, showing progress, and returns what to say about them. */
export async function runNifti(argv: readonly string[]): Promise<string> {
  const command = niftiCommand();
  const options = parseArguments<NiftiArguments>(command, argv);
  const input = theInput(options.input, command.args[0], 'a volume or a folder');
  const { out, labels } = options;
  let progress: ReturnType<typeof createProgress> | undefined;
  try {
    const summary = await prepareNiftiDataset({
      input,
      labels,
      positive: options.positive,
      outDir: out,
      prefix: options.prefix,
      axis: options.axis,
      channel: options.channel,
      window: options.window,
      minArea: options.min_area,
      small: options.small,
      empty: options.empty,
      ignoreAffine: options.ignore_affine ?? false,
      overwrite: options.overwrite ?? false,
      onVolume: (done, index, total) => {
        progress ??= createProgress({ label: 'Slicing volumes', total, plainEverySeconds: 2 });
        progress.update(index + 1, `${done.image}: ${done.positives} of ${done.written} slices positive`);
      },
    });
    progress?.stop();
    const { slices, volumes, hasMasks, longestSide } = summary;
    return summaryText({
      outDir: out,
      dataset: datasetOfPrefix(summary.prefix),
      slices,
      volumes,
      hasMasks,
      remarks: remarks(summary),
      longestSide,
    });
  } finally {
    progress?.stop();
  }
}

/** What was decided for the user by the layout of the input, and what was left out. */
function remarks({ positive, window, hasMasks, unlabelled }: NiftiDatasetSummary): string[] {
  const labels = positive.length === 0 ? 'any but 0' : positive.join(', ');
  const missing = `Left out ${plural(unlabelled.length, 'case')} without segmentation: ${some(unlabelled)}.`;
  return [
    ...(hasMasks
      ? [`Positive labels: ${labels} (--positive). Window: ${windowText(window)} (--window).`]
      : []),
    ...(unlabelled.length > 0 ? [missing] : []),
  ];
}

function parseLabels(text: string): number[] {
  const labels = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (labels.every((label) => Number.isInteger(label) && label !== 0)) return labels;
  throw new UsageError(`${expected("label numbers other than 0, as in '77,78',", '--positive', text)}.`);
}

function parsePrefix(text: string): string {
  if (/^[A-Za-z0-9-]+$/.test(text)) return text;
  throw new UsageError(`${expected('letters, digits and hyphens', '--prefix', text)}.`);
}
