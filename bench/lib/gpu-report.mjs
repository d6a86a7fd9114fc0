// The GPU's benchmark as text: what it can do, what was reached, where its time goes, which targets are met.
import { formatTable } from '../../dist/export/table.js';

const percent = (share) => (share === null || share === undefined ? '-' : `${(100 * share).toFixed(1)} %`);
const titleOf = ({ phase, crop, batch }) => `${phase}, crop ${crop}, batch ${batch}`;
const left = (count) => ['left', ...Array.from({ length: count - 1 }, () => 'right')];

function trainingTable(trainings) {
  const header = ['training', 'images/s', 's a step', 'of bf16 rate', 'host', 'GPU idle', 'peak GiB'];
  const rows = trainings.map((one) =>
    one.fault
      ? [titleOf(one), one.fault, '', '', '', '', '']
      : [
          titleOf(one),
          one.imagesPerSecond.toFixed(0),
          one.seconds.toFixed(4),
          percent(one.shareOfMatrixRate),
          percent(one.hostShare),
          percent(one.gpuTime.idleShare),
          one.peakGib.toFixed(2),
        ],
  );
  return formatTable(rows, { header, align: left(header.length) });
}

/** Kinds of work down, trainings across. */
function groupTable(trainings) {
  const recorded = trainings.filter(({ gpuTime }) => !gpuTime.fault);
  if (recorded.length === 0) return [];
  const groups = new Set(recorded.toReversed().flatMap(({ gpuTime }) => Object.keys(gpuTime.groupShares)));
  // Five trainings side by side: crop and batch alone fit into a terminal.
  const short = ({ phase, crop, batch }) => `${phase} ${crop}/${batch}`;
  const header = ["share of the GPU's time", ...recorded.map(short)];
  const rows = [...groups].map((group) => [
    group,
    ...recorded.map(({ gpuTime }) => percent(gpuTime.groupShares[group])),
  ]);
  rows.push(['kernels and copies a step', ...recorded.map(({ gpuTime }) => gpuTime.launches.toFixed(0))]);
  return [formatTable(rows, { header, align: left(header.length) })];
}

/** The longest names are cuBLAS's, whose tile sizes come last. */
const cut = (name) => (name.length > 72 ? `${name.slice(0, 71)}…` : name);

function kernelTable({ gpuTime, ...settings }, top) {
  if (gpuTime.fault) return `${titleOf(settings)}: ${gpuTime.fault}`;
  const rows = gpuTime.kernels
    .slice(0, top)
    .map(({ name, group, share, calls, milliseconds }) => [
      cut(name),
      group,
      percent(share),
      milliseconds.toFixed(3),
      calls.toFixed(0),
    ]);
  const header = [titleOf(settings), 'kind', 'share', 'ms a step', 'calls'];
  return formatTable(rows, { header, align: ['left', 'left', 'right', 'right', 'right'] });
}

const WORDS = { true: 'met', false: 'NOT MET', null: 'not known' };

function targetTable(targets) {
  const show = (value, unit) => {
    if (value === null) return '-';
    return unit === 'share' ? percent(value) : `${value.toFixed(unit === 'times' ? 1 : 0)} ${unit}`;
  };
  const rows = targets.map(({ name, unit, wanted, below, measured, met }) => [
    name,
    `${below ? 'under' : 'at least'} ${show(wanted, unit)}`,
    show(measured, unit),
    WORDS[met],
  ]);
  const header = ['target', 'wanted', 'measured', ''];
  return formatTable(rows, { header, align: ['left', 'right', 'right', 'left'] });
}

/** @param top kernels shown of each training */
export function gpuReport({ gpu, limits, trainings, maps, exported, par, targets, cautions }, top) {
  const lines = [
    ...maps.map((m) => `maps at 3 scales, batch ${m.batch}: ${m.imagesPerSecond.toFixed(0)} images/s`),
    ...exported.map(
      (e) => `maps from file to heatmap and npy, batch ${e.batch}: ${e.imagesPerSecond.toFixed(0)} images/s`,
    ),
    `PAR: ${(1000 * par.seconds).toFixed(2)} ms for ${par.images} images; ` +
      `${par.gbPerSecond.toFixed(0)} GB/s, ${percent(par.shareOfBandwidth)} of a copy's`,
  ];
  return [
    `${gpu}: ${limits.bf16Tflops.toFixed(0)} TFLOP/s of bf16 products, ${limits.copyGbPerSecond.toFixed(0)} GB/s of copies`,
    trainingTable(trainings),
    lines.join('\n'),
    ...groupTable(trainings),
    ...trainings.filter(({ fault }) => !fault).map((one) => kernelTable(one, top)),
    targetTable(targets),
    ...(cautions.length > 0 ? [cautions.join('\n')] : []),
  ].join('\n\n');
}
