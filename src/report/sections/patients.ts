import type { PatientRow } from '../../metrics/index.js';
import { type Html, html } from '../html.js';
import { shown } from '../numbers.js';
import { mapTitle } from './localisation.js';

/** One row for each patient; a click on a head sorts. Of several classes, means. */
export function patientsSection(rows: readonly PatientRow[]): Html {
  if (rows.length === 0) return html``;
  const maps = Object.keys(rows[0]!.localisation);
  const heads = ['Patient', 'Slices', 'Positive', 'Score', ...maps.map((name) => `${mapTitle(name)}: Dice`)];
  return html`<section id="patients"><h2>Patients</h2><p class="soft">A column's head sorts by it.</p>
<div class="scroll"><table class="sortable"><thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead><tbody>
${rows.map(
  ({ patient, slices, positives, scores, localisation }) =>
    html`<tr><th scope="row">${patient}</th><td>${slices}</td><td>${positives.join(', ')}</td>${number(
      Math.max(...scores),
    )}${maps.map((name) => number(mean(localisation[name]!.map(({ dice }) => dice))))}</tr>
`,
)}</tbody></table></div></section>`;
}

function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

const number = (value: number | null): Html => html`<td data-value="${value ?? ''}">${shown(value)}</td>`;
