import type { Evaluation, Score } from '../../metrics/index.js';
import { type Html, html } from '../html.js';
import { interval, shown } from '../numbers.js';

export interface RunFacts {
  dataset: string;
  backbone: string;
  checkpoint: string;
  split: string;
  /** What was done with which settings: a row each. */
  rows: readonly (readonly [title: string, value: string | number])[];
  /** What a reader must know before believing a number. */
  warnings: readonly string[];
}

/** The numbers that a run is judged by, each with its interval. */
export function headSection(facts: RunFacts, evaluation: Evaluation): Html {
  const { localisation, perSlice, cases, patients } = evaluation;
  const unit = patients === null ? 'image' : 'slice';
  const cards: [string, Score | undefined][] = [
    [`${unit} AUROC`, perSlice.scores.auroc],
    ['pointing game', localisation.cam?.scores.pointingGame],
    [`CAM Dice at ${localisation.cam?.threshold ?? 'threshold'}`, localisation.cam?.scores.dice],
    ['segmentation Dice', localisation.seg?.scores.dice],
  ];
  const whom = patients === null ? `${cases} images` : `${cases} slices of ${patients} patients`;
  return html`<header><h1>${facts.dataset}: ${facts.backbone}</h1>
<p class="soft">${facts.checkpoint} on ${whom}, split '${facts.split}'. Trained on image-level labels alone. Not a medical device.</p>
${facts.warnings.map((text) => html`<p class="warning" role="alert"><strong>Warning.</strong> ${text}</p>`)}
<ul class="cards">${cards.map(([title, score]) => card(title, score))}</ul></header>`;
}

function card(title: string, score: Score | undefined): Html {
  const range = score && interval(score);
  const note = score === undefined ? 'no masks' : range ? `95 %: ${range}` : (score.reason ?? 'no interval');
  return html`<li>${title}<b>${shown(score?.value)}</b><span>${note}</span></li>`;
}

export function factsSection({ rows }: RunFacts, configYaml: string): Html {
  return html`<section id="run"><h2>Run</h2><div class="scroll"><table><tbody>
${rows.map(([title, value]) => html`<tr><th scope="row">${title}</th><td class="text">${value}</td></tr>`)}
</tbody></table></div><details><summary>Configuration, with the source of each value</summary><pre>${configYaml}</pre></details></section>`;
}
