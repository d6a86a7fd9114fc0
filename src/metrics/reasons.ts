/**
 * Why a score is null, by the name of the score. A score that does not exist is never 0: a 0 would be
 * averaged and plotted as if something had been measured.
 */
export type Reasons = Record<string, string>;

/** Mean of the numbers among `values`, or null when there is none. */
export function meanOfDefined(values: Iterable<number | null>): number | null {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (value === null) continue;
    sum += value;
    count++;
  }
  return count === 0 ? null : sum / count;
}
