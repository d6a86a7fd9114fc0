import type { ClassEvaluation, Evaluation, Score } from '../../metrics/index.js';
import { chart } from '../chart.js';
import { type Html, html } from '../html.js';
import { briefCell, scoreCell } from '../numbers.js';

const ROWS: readonly [keyof Evaluation['perSlice']['scores'], string][] = [
  ['auroc', 'AUROC'],
  ['auprc', 'AUPRC (average precision)'],
  ['sensitivity', 'Sensitivity'],
  ['specificity', 'Specificity'],
  ['ppv', 'Positive predictive value'],
  ['npv', 'Negative predictive value'],
  ['f1', 'F1'],
  ['balancedAccuracy', 'Balanced accuracy'],
  ['mcc', 'Matthews correlation'],
  ['brier', 'Brier score'],
  ['ece', 'Calibration error (ECE)'],
];

/** How well image-level findings are told apart, per slice and per patient. */
export function classificationSection(evaluation: Evaluation): Html {
  const { perSlice, perPatient, method, classes } = evaluation;
  const head = perPatient
    ? html`<th scope="col">Per slice</th><th scope="col">Per patient</th>`
    : html`<th scope="col">Per image</th>`;
  const rows = ROWS.map(
    ([name, title]) =>
      html`<tr><th scope="row">${title}</th>${scoreCell(perSlice.scores[name])}${
        perPatient && scoreCell(perPatient.scores[name])
      }</tr>`,
  );
  const averaged = classes.length > 1 ? ` Means over ${classes.length} classes.` : '';
  return html`<section id="classification"><h2>Classification</h2>
<p class="soft">Positive above ${method.threshold}. ${perPatient && `A patient's score is the ${method.patientScore}.`}${averaged} ${methodText(evaluation)}</p>
<div class="scroll"><table><thead><tr><th scope="col">Score</th>${head}</tr></thead><tbody>${rows}</tbody></table></div>
${classes.length > 1 ? perClassTable(evaluation) : figures(perSlice.perClass[0]!, perPatient ? 'slices' : 'images')}
</section>`;
}

/** Below it, percentile intervals are known to be too narrow: see docs/metrics.md. */
const FEW_PATIENTS = 20;

function methodText({ method: { intervals }, patients: known }: Evaluation): string {
  if (!intervals) return '';
  const unit = known === null ? 'images' : 'patients';
  const { method, confidence, replicates, patients } = intervals;
  const few =
    patients < FEW_PATIENTS
      ? ` With ${patients} ${unit} they are too narrow: read them as a lower bound.`
      : '';
  return `Intervals of ${100 * confidence} %: ${method}, ${replicates} replicates.${few}`;
}

function figures(one: ClassEvaluation, unit: string): Html {
  const { roc, precisionRecall, reliability, confusion, positives } = one;
  const points = (x: readonly number[] = [], y: readonly number[] = []) =>
    x.map((value, i) => [value, y[i]!] as const);
  const samples =
    confusion.truePositives + confusion.falsePositives + confusion.trueNegatives + confusion.falseNegatives;
  const unit01 = [0, 1] as const;
  return html`<div class="figures">
<figure><h3>ROC curve</h3>${chart({
    title: `ROC curve, AUROC ${label(one.scores.auroc)}`,
    x: { label: '1 − specificity', domain: unit01 },
    y: { label: 'sensitivity', domain: unit01 },
    series: [{ name: 'ROC', points: points(roc?.falsePositiveRate, roc?.sensitivity) }],
    reference: [
      [0, 0],
      [1, 1],
    ],
  })}</figure>
<figure><h3>Precision and recall</h3>${chart({
    title: `Precision-recall curve, average precision ${label(one.scores.auprc)}`,
    x: { label: 'recall (sensitivity)', domain: unit01 },
    y: { label: 'precision', domain: unit01 },
    series: [{ name: 'precision', points: points(precisionRecall?.recall, precisionRecall?.precision) }],
    reference: [
      [0, positives / samples],
      [1, positives / samples],
    ],
  })}<figcaption>Dotted: the share of positives, what guessing reaches.</figcaption></figure>
<figure><h3>Reliability</h3>${chart({
    title: 'Reliability: share of positives against predicted probability',
    x: { label: 'mean predicted probability', domain: unit01 },
    y: { label: 'share of positives', domain: unit01 },
    series: [
      {
        name: 'bins',
        dots: true,
        points: (reliability ?? []).map((bin) => [bin.predicted, bin.observed] as const),
      },
    ],
    reference: [
      [0, 0],
      [1, 1],
    ],
  })}<figcaption>On the dotted line probabilities mean what they say.</figcaption></figure>
<figure><h3>Confusion matrix</h3><div class="scroll"><table class="confusion">
<thead><tr><td></td><th scope="col">called positive</th><th scope="col">called negative</th></tr></thead>
<tbody><tr><th scope="row">positive</th><td>${confusion.truePositives}</td><td>${confusion.falseNegatives}</td></tr>
<tr><th scope="row">negative</th><td>${confusion.falsePositives}</td><td>${confusion.trueNegatives}</td></tr></tbody>
</table></div><figcaption>${samples} ${unit}.</figcaption></figure></div>`;
}

const label = (score: Score): string => score.value?.toFixed(3) ?? 'undefined';

function perClassTable({ perSlice }: Evaluation): Html {
  const columns = ROWS.filter(([name]) =>
    ['auroc', 'auprc', 'sensitivity', 'specificity', 'f1'].includes(name),
  );
  const rows = perSlice.perClass.map(
    (one) =>
      html`<tr><th scope="row">${one.class}</th><td>${one.positives}</td>${columns.map(([name]) =>
        briefCell(one.scores[name]),
      )}</tr>`,
  );
  return html`<h3>By class</h3><div class="scroll"><table class="sortable"><thead><tr><th scope="col">Class</th>
<th scope="col">Positives</th>${columns.map(([, title]) => html`<th scope="col">${title}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
