/** Elapsed and remaining time as text, in the form of Python's `str(timedelta)`. */

const DAY = 86_400;
const two = (value: number) => String(value).padStart(2, '0');

/** Whole seconds as "0:01:05", "23:59:59", "1 day, 0:00:00" or "12 days, 3:04:05". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const days = Math.floor(whole / DAY);
  const clock = `${Math.floor((whole % DAY) / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return days === 0 ? clock : `${days} day${days === 1 ? '' : 's'}, ${clock}`;
}

/** Shown while nothing is known about the pace. */
export const UNKNOWN_TIME = '-:--:--';

/**
 * Time since the start, and time to the end at the pace so far (original: cal_eta in utils/medical_utils.py).
 * After a resume, give iterations counted from the resumed one, or the pace comes out too fast.
 *
 * @param startedAt epoch milliseconds (or a Date) of iteration 0
 * @param curIter iterations done; with none done the ETA is "-:--:--"
 * @param totalIter iterations in all; at or beyond it the ETA is "0:00:00"
 */
export function calEta(
  startedAt: number | Date,
  curIter: number,
  totalIter: number,
  now: number | Date = Date.now(),
): { elapsed: string; eta: string } {
  // Whole seconds at both ends, as in the original.
  const seconds = Math.floor(Number(now) / 1000) - Math.floor(Number(startedAt) / 1000);
  const elapsed = formatDuration(seconds);
  if (!(curIter > 0)) return { elapsed, eta: UNKNOWN_TIME };
  const remaining = seconds * ((totalIter - curIter) / curIter);
  // Microseconds are rounded before the cut to seconds, or 65 - 1e-14 would read 1:04.
  return { elapsed, eta: formatDuration(Math.round(remaining * 1e6) / 1e6) };
}
