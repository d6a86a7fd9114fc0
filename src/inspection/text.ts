import { type Cell, formatTable } from '../export/table.js';
import { PERCENTILES, type SplitNumbers } from './facts.js';
import type { Inspection } from './inspect.js';
import type { Outlook } from './outlook.js';

/** Kinds shown of sizes and file forms. */
const SHOWN = 3;

/** An inspection for people. */
export function inspectionText(found: Inspection): string {
  const { dataset, rootDir, classes: names, splits, outlook, warnings } = found;
  const header = ['', ...splits.map(({ split }) => split)];
  const rows: Cell[][] = ROWS.map(([title, cell]) => [title, ...splits.map(cell)]);
  const several = (splits[0]?.perClass.length ?? 0) > 1;
  const classes = several
    ? splits[0]!.perClass.map((_, c) => [names[c], ...splits.map((s) => s.perClass[c])])
    : [];
  const align = header.map((_, i) => (i === 0 ? ('left' as const) : ('right' as const)));
  return [
    `${dataset} in ${rootDir}`,
    '',
    formatTable([...rows, ...classes], { header, align }),
    '',
    ...outlookLines(outlook),
    '',
    ...(warnings.length === 0
      ? ['Nothing to warn of.']
      : ['To look at before training:', ...warnings.map((w) => `- ${w}`)]),
  ].join('\n');
}

const ROWS: readonly [string, (split: SplitNumbers) => Cell][] = [
  ['images', ({ samples }) => samples],
  ['positive', ({ positives, prevalence }) => `${positives} (${(100 * prevalence).toFixed(1)} %)`],
  ['patients', ({ patients }) => patients],
  ['sizes, height x width', ({ sizes }) => tallied(sizes)],
  ['file form', ({ formats }) => tallied(formats)],
  ['values', ({ intensity }) => intensity && `${short(intensity.min)} to ${short(intensity.max)}`],
  ...PERCENTILES.map((percent): [string, (split: SplitNumbers) => Cell] => [
    `  percentile ${percent}`,
    ({ intensity }) => intensity && short(intensity.percentiles[String(percent)]!),
  ]),
  ['masks', ({ masks }) => masks.present],
  ['  pixels of a class, median', ({ masks }) => masks.medianPixels],
  ['unreadable', ({ unreadable }) => unreadable.length],
];

const short = (value: number): string => String(Number(value.toPrecision(4)));

function tallied(counts: Record<string, number>): string {
  const kinds = Object.entries(counts);
  if (kinds.length === 1) return kinds[0]![0];
  const more = kinds.length > SHOWN ? `, and ${kinds.length - SHOWN} more` : '';
  return (
    kinds
      .slice(0, SHOWN)
      .map(([kind, n]) => `${n} of ${kind}`)
      .join(', ') + more
  );
}

function outlookLines(outlook: Outlook): string[] {
  const {
    rescaledSides,
    cropSize,
    stepsPerEpoch,
    epochs,
    iterations,
    intensity,
    sampling,
    split,
    pretrained,
  } = outlook;
  const { classification, camLabels, affinityLabels } = iterations;
  const mapped = { raw: 'used as they are', minmax: 'stretched between the extremes of each slice' };
  const values =
    typeof intensity === 'object'
      ? `the window ${intensity.join(' to ')} becomes 0 to 255`
      : intensity === 'percentile'
        ? 'stretched between the 1st and 99th percentile of each slice'
        : mapped[intensity];
  return [
    'This configuration',
    `- splits by ${split === 'list' ? 'name lists' : split}; values are ${values}`,
    `- rescales training images to sides of ${rescaledSides[0]} to ${rescaledSides[1]} pixels and cuts or pads them to ${cropSize} x ${cropSize}`,
    `- takes ${stepsPerEpoch} steps an epoch (${sampling}), ${epochs.toFixed(1)} epochs in all: ${classification} iterations of ` +
      `classification, ${camLabels} with CAM labels, ${affinityLabels} with affinity labels`,
    `- starts the encoder from ${pretrained ?? 'random weights'}`,
  ];
}
