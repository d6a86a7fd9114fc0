/** How numbers look in the report, everywhere alike. */
import type { Score } from '../metrics/index.js';
import { type Html, html } from './html.js';

/** Three decimals, or an em dash for what does not exist. */
export const shown = (value: number | null | undefined, decimals = 3): string =>
  value === null || value === undefined ? '—' : value.toFixed(decimals);

/** "0.95-0.99", or nothing without an interval. */
export const interval = ({ low, high }: Score, decimals = 3): string =>
  low === null || high === null ? '' : `${low.toFixed(decimals)}–${high.toFixed(decimals)}`;

/** As scoreCell, for tables of many: why a score is missing shows only when pointed at. */
export function briefCell(score: Score): Html {
  return score.value === null
    ? html`<td data-value="" title="${score.reason ?? ''}" aria-label="${score.reason ?? 'undefined'}">—</td>`
    : scoreCell(score);
}

/** A table cell of a score with its interval; a missing one says why. */
export function scoreCell(score: Score | undefined): Html {
  if (!score) return html`<td></td>`;
  if (score.value === null) return html`<td>— <span class="soft">${score.reason}</span></td>`;
  return html`<td data-value="${score.value}">${shown(score.value)} <span class="soft">${interval(score)}</span></td>`;
}
