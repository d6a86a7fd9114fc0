import { chart, type Series } from '../chart.js';
import { type Html, html } from '../html.js';

/** A line of metrics.jsonl. */
export type MetricsLine = Readonly<Record<string, unknown>> & { kind: string; iteration: number };

const LOSSES: readonly [string, string][] = [
  ['clsLoss', 'classification'],
  ['segLoss', 'segmentation'],
  ['affLoss', 'affinity'],
];
/** Validation scores in 0..1 that tell how a run went, where they exist. */
const SCORES: readonly [path: string, name: string][] = [
  ['auroc', 'AUROC'],
  ['mAP', 'mean average precision'],
  ['pointingGame', 'pointing game'],
  ['camDiceBest.dice', 'CAM Dice, best threshold'],
  ['segDice', 'segmentation Dice'],
  ['segScore.miou', 'segmentation mIoU'],
];

/** A number at a dotted path of a line, or null. */
function at(line: MetricsLine, path: string): number | null {
  const value = path
    .split('.')
    .reduce<unknown>((v, key) => (v as Record<string, unknown> | null)?.[key], line);
  return typeof value === 'number' ? value : null;
}

/** Losses, learning rate and validation scores against iterations; the phases are marked. */
export function curvesSection(lines: readonly MetricsLine[]): Html {
  const train = lines.filter(({ kind }) => kind === 'train');
  const validations = lines.filter(({ kind }) => kind === 'validation');
  const series = (from: readonly MetricsLine[], path: string, name: string): Series => ({
    name,
    points: from.map((line) => [line.iteration, at(line, path)] as const),
  });
  const marks = phaseStarts(train);
  // A loss that a phase does not have is written as 0: it is left out, not drawn along the axis.
  const losses = LOSSES.map(([path, name]) =>
    series(path === 'clsLoss' ? train : train.filter(({ phase }) => phase !== 'cls'), path, name),
  );
  const scores = SCORES.map(([path, name]) => series(validations, path, name)).filter(({ points }) =>
    points.some(([, value]) => value !== null),
  );
  const x = { label: 'iteration' };
  return html`<section id="curves"><h2>Training</h2><div class="figures">
<figure><h3>Losses</h3>${chart({ title: 'Losses against iterations', x, y: { label: 'loss' }, series: losses, marks })}
<figcaption>Means between log lines.</figcaption></figure>
<figure><h3>Validation</h3>${chart({ title: 'Validation scores against iterations', x, y: { label: 'score', domain: [0, 1] }, series: scores.slice(0, 6), marks })}</figure>
<figure><h3>Learning rate</h3>${chart({ title: 'Learning rate against iterations', x, y: { label: 'rate' }, series: [series(train, 'lr', 'encoder')] })}</figure>
</div></section>`;
}

const PHASES: Readonly<Record<string, string>> = { cam: 'CAM labels', affinity: 'affinity labels' };

function phaseStarts(train: readonly MetricsLine[]): { x: number; label: string }[] {
  return Object.entries(PHASES).flatMap(([phase, label]) => {
    const first = train.find((line) => line.phase === phase);
    return first ? [{ x: first.iteration, label }] : [];
  });
}
