import type { Evaluation, LocalisationScoreName } from '../../metrics/index.js';
import { chart } from '../chart.js';
import { type Html, html } from '../html.js';
import { briefCell, scoreCell } from '../numbers.js';

/** What the maps of an evaluation are called. */
const MAPS: Readonly<Record<string, string>> = {
  cam: 'Class activation map',
  refined: 'Affinity-refined map',
  seg: 'Segmentation head',
};
export const mapTitle = (name: string): string => MAPS[name] ?? name;

const ROWS: readonly [LocalisationScoreName, string][] = [
  ['dice', 'Dice'],
  ['iou', 'IoU'],
  ['pointingGame', 'Pointing game'],
  ['pixelAp', 'Pixel average precision'],
  ['hd95', 'Hausdorff distance, 95 %, pixels'],
  ['hd95Mm', 'Hausdorff distance, 95 %, mm'],
  ['missRate', 'Missed: nothing predicted'],
  ['falsePositiveArea', 'False-positive area, negatives'],
  ['falsePositiveAreaCalled', 'The same, where called positive'],
];

/** How well maps find the object, against masks that training never saw. */
export function localisationSection({ localisation, classes }: Evaluation): Html {
  const maps = Object.entries(localisation);
  if (maps.length === 0) {
    return html`<section id="localisation"><h2>Localisation</h2>
<p class="none">Not scored: there are no masks for this split. Set dataset.masks_dir to the folder that holds them (medical slices: masks/{same name}.npy beside imageSlice) to see where maps are right.</p></section>`;
  }
  const rows = ROWS.map(
    ([name, title]) =>
      html`<tr><th scope="row">${title}</th>${maps.map(([, map]) => scoreCell(map.scores[name]))}</tr>`,
  );
  const swept = maps.filter(([, { sweep }]) => sweep);
  const several = classes.length > 1 ? ` Means over ${classes.length} classes.` : '';
  return html`<section id="localisation"><h2>Localisation</h2>
<p class="soft">Dice, IoU and distances over positive images, areas over negative ones.${several} ${maps.map(([name, map]) => thresholdText(name, map))}</p>
${affinityNote(localisation)}
<div class="scroll"><table><thead><tr><th scope="col">Score</th>${maps.map(([name]) => html`<th scope="col">${mapTitle(name)}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>
${classes.length > 1 && perClassTable(maps)}
<div class="figures">${swept.map(
    ([name, { sweep, threshold }]) =>
      html`<figure><h3>${mapTitle(name)}: thresholds</h3>${chart({
        title: `${mapTitle(name)}: Dice, IoU and false-positive area against the threshold`,
        x: { label: 'threshold', domain: [0, 1] },
        y: { label: 'score', domain: [0, 1] },
        series: [
          { name: 'Dice', points: sweep!.thresholds.map((t, i) => [Number(t), sweep!.dice[i]!]) },
          { name: 'IoU', points: sweep!.thresholds.map((t, i) => [Number(t), sweep!.iou[i]!]) },
          {
            name: 'false-positive area',
            points: sweep!.thresholds.map((t, i) => [Number(t), sweep!.falsePositiveArea[i]!]),
          },
        ],
        marks: threshold === null ? [] : [{ x: Number(threshold), label: 'chosen' }],
      })}</figure>`,
  )}</div></section>`;
}

/** Said where the walk made maps worse: a reader would take them for the better ones. */
function affinityNote({ cam, refined }: Evaluation['localisation']): Html | false {
  const [before, after] = [cam?.scores.dice.value, refined?.scores.dice.value];
  if (before == null || after == null || after >= before) return false;
  return html`<p class="soft">${mapTitle('refined')}s are worse here than the ${mapTitle('cam').toLowerCase()}s that they are made from. They are made on the encoder's grid, whose cells have 16 pixels by default, and an object of few cells loses its outline there, or is lost altogether: "Small objects" in docs/evaluation.md says why, and what helps. Exported maps are class activation maps.</p>`;
}

type Maps = [name: string, map: Evaluation['localisation'][string]][];

/** Dice of each class by kind of map, and where its highest point lies. */
function perClassTable(maps: Maps): Html {
  const rows = maps[0]![1].perClass.map(
    (one, c) =>
      html`<tr><th scope="row">${one.class}</th><td>${one.slices.positive}</td>${maps.map(([, map]) =>
        briefCell(map.perClass[c]!.scores.dice),
      )}${briefCell(one.scores.pointingGame)}</tr>`,
  );
  const heads = ['Class', 'Images', ...maps.map(([name]) => `${mapTitle(name)}: Dice`), 'Pointing game'];
  return html`<h3>By class</h3><div class="scroll"><table class="sortable"><thead><tr>${heads.map(
    (head) => html`<th scope="col">${head}</th>`,
  )}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function thresholdText(name: string, map: Evaluation['localisation'][string]): string {
  const { threshold, thresholdFrom, oracle } = map;
  if (threshold === null) return '';
  if (thresholdFrom === 'given') {
    const bound = oracle ? ` (oracle: ${oracle.dice.toFixed(3)} at ${oracle.threshold})` : '';
    return `${mapTitle(name)}: threshold ${threshold}, chosen on validation data and frozen${bound}. `;
  }
  return `${mapTitle(name)}: threshold ${threshold}, chosen by mean Dice on these validation images. `;
}
