/** `prepare coco`: arguments and run. */

import { basename } from 'node:path';
import type { Command } from 'commander';
import { createCommand, parseArguments } from '../cli/command.js';
import { choiceOption } from '../cli/options.js';
import { expected, UsageError } from '../config/errors.js';
import { orList } from '../config/fields.js';
import { Interrupt } from '../training/interrupt.js';
import { createProgress } from '../training/progress.js';
import { type CocoDatasetSummary, prepareCocoDataset } from './coco-dataset.js';
import { COCO_SPLITS, type CocoSplit } from './coco-layout.js';
import type { CocoSource } from './coco-source.js';
import { FAULT_POLICIES, type FaultPolicy } from './faults.js';
import { quoteSetting } from './summary.js';

export const COCO_EXAMPLES = [
  [
    'MS COCO 2014: masks, lists and labels of both splits',
    'node dist/prepare.js coco --images train2014 val2014 --annotations annotations/instances_train2014.json ' +
      'annotations/instances_val2014.json --out data/coco',
  ],
] as const;

interface CocoArguments {
  images: string[];
  annotations: string[];
  splits?: string[];
  out: string;
  bad_data: FaultPolicy;
  overwrite?: boolean;
}

/** Classes of the configuration that ships (configs/coco_attn_reg.yaml), with background. */
const SHIPPED_CLASSES = 81;
/** What a shell expects of a program that Ctrl-C has ended. */
const INTERRUPTED = 130;

export function cocoCommand(): Command {
  return createCommand(
    'node dist/prepare.js coco',
    "Build masks, name lists and image-level labels from COCO's images and instances_*.json; images are linked, not copied.",
    COCO_EXAMPLES,
  )
    .requiredOption('--images <folders...>', 'folders of images, one for each split')
    .requiredOption('--annotations <files...>', 'instances_*.json of each, in the same order')
    .option('--splits <names...>', 'train or val for each (default: what the annotation file is named)')
    .requiredOption('--out <folder>', 'the dataset: dataset.root_dir and dataset.name_list_dir')
    .addOption(
      choiceOption(
        '--bad_data <policy>',
        'missing images, malformed or stray annotations: stop, or skip them with a summary',
        FAULT_POLICIES,
      ).default('stop'),
    )
    .option('--overwrite', 'write masks and lists anew that are there; without, masks are kept');
}

/** Makes the dataset, showing progress, and returns what to say about it. Ctrl-C stops after the masks at hand. */
export async function runCoco(argv: readonly string[]): Promise<string> {
  const options = parseArguments<CocoArguments>(cocoCommand(), argv);
  const sources = pairSources(options);
  const interrupt = new Interrupt('Stopping; masks that are written are kept');
  let stage = '';
  let progress: ReturnType<typeof createProgress> | undefined;
  try {
    const summary = await prepareCocoDataset({
      sources,
      outDir: options.out,
      faults: options.bad_data,
      overwrite: options.overwrite ?? false,
      stopWhen: () => interrupt.asked !== undefined,
      onProgress: (label, done, total) => {
        // Reading leaves nothing half done.
        if (interrupt.asked && !label.startsWith('Writing')) throw new StoppedError();
        if (label !== stage) {
          progress?.stop();
          progress = createProgress({ label, total, done: done - 1, plainEverySeconds: 5 });
          stage = label;
        }
        progress?.update(done);
      },
    });
    progress?.stop();
    if (summary.stopped) throw new StoppedError();
    return summaryText(options.out, summary);
  } finally {
    progress?.stop();
    interrupt.close();
  }
}

/** Ctrl-C has ended the work in good order. */
export class StoppedError extends Error {
  readonly exitCode = INTERRUPTED;
  constructor() {
    super('Stopped before the lists were written. The same command goes on with the masks that are missing.');
  }
}

function pairSources({ images, annotations, splits }: CocoArguments): CocoSource[] {
  for (const [flag, values] of Object.entries({ '--annotations': annotations, '--splits': splits })) {
    if (values === undefined || values.length === images.length) continue;
    throw new UsageError(`${expected(`${images.length} values, one for each of --images,`, flag, values)}.`);
  }
  const sources = images.map((folder, i) => ({
    images: folder,
    annotations: annotations[i]!,
    split: splits === undefined ? splitOf(annotations[i]!) : checkedSplit(splits[i]!),
  }));
  const twice = COCO_SPLITS.find((split) => sources.filter((s) => s.split === split).length > 1);
  if (twice)
    throw new UsageError(`Expected each split once but received '${twice}' twice. Name them by --splits.`);
  return sources;
}

function splitOf(path: string): CocoSplit {
  const found = COCO_SPLITS.filter((split) => basename(path).toLowerCase().includes(split));
  if (found.length === 1) return found[0]!;
  throw new UsageError(
    `Expected 'train' or 'val' in the name of ${path} but received ${found.length === 0 ? 'neither' : 'both'}. ` +
      'Say which it is by --splits.',
  );
}

function checkedSplit(name: string): CocoSplit {
  const split = COCO_SPLITS.find((known) => known === name);
  if (split === undefined) throw new UsageError(`${expected(orList(COCO_SPLITS), '--splits', name)}.`);
  return split;
}

function summaryText(outDir: string, { splits, skipped, categories }: CocoDatasetSummary): string {
  const lines = Object.entries(splits).map(([split, { images, listed, masks_written, masks_kept }]) => {
    const kept = masks_kept > 0 ? `, ${masks_kept} kept` : '';
    return `${split}: ${listed} of ${images} images have annotations; ${masks_written} masks written${kept}.`;
  });
  const settings = [`dataset.root_dir=${outDir}`, `dataset.name_list_dir=${outDir}`];
  const classes = categories.length + 1;
  if (classes !== SHIPPED_CLASSES) settings.push(`dataset.num_classes=${classes}`);
  const missing = COCO_SPLITS.filter((split) => splits[split] === undefined);
  const command = `  node dist/train.js --dataset coco ${settings.map((s) => `--set ${quoteSetting(s)}`).join(' ')}`;
  return [
    ...lines,
    ...skipped.map((line) => `Left out: ${line}.`),
    `Wrote masks, lists and labels of ${categories.length} classes to ${outDir}.`,
    ...(missing.length > 0
      ? [`Training needs the ${missing.join(' and ')} split too: prepare it into the same --out.`]
      : ['Train with:', command]),
  ].join('\n');
}
