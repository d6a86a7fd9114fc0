/** Charts as inline SVG: they print, scale, follow the page's colours, and need no script. */
import { type Html, html } from './html.js';

export interface Series {
  name: string;
  /** (x, y) pairs; a pair with a missing y interrupts the line. */
  points: readonly (readonly [x: number, y: number | null])[];
  /** Dots instead of a line. */
  dots?: boolean;
}

export interface ChartOptions {
  /** What the chart shows, for those who cannot see it. */
  title: string;
  x: { label: string; domain?: readonly [number, number] };
  y: { label: string; domain?: readonly [number, number] };
  series: readonly Series[];
  /** The line of a guess, from one corner of the data range to another. */
  reference?: readonly [readonly [number, number], readonly [number, number]];
  /** Vertical lines with a caption: where a phase begins, which threshold was chosen. */
  marks?: readonly { x: number; label: string }[];
}

const [WIDTH, HEIGHT] = [420, 280];
const MARGIN = { top: 14, right: 14, bottom: 42, left: 56 };
const [RIGHT, BOTTOM] = [WIDTH - MARGIN.right, HEIGHT - MARGIN.bottom];

/** Round numbers within [low, high], about `count` of them: steps of 1, 2 or 5 times a power of ten. */
export function ticks(low: number, high: number, count = 5): number[] {
  const raw = (high - low) / count;
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw * 0.99)!;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const extent = (values: readonly number[]): [number, number] => {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  // A single value still needs an axis around it.
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
};

const tickText = (value: number): string =>
  value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5) ? value.toExponential() : String(value);

const place = (value: number) => value.toFixed(1);

/** A chart, or a sentence where there is nothing to draw. */
export function chart({ title, x, y, series, reference, marks = [] }: ChartOptions): Html {
  const drawn = series.filter(({ points }) => points.some(([, value]) => isNumber(value)));
  if (drawn.length === 0) return html`<p class="none">Nothing to draw: ${title}.</p>`;
  const values = drawn.flatMap(({ points }) => points.filter(([, value]) => isNumber(value)));
  const xDomain = x.domain ?? extent(values.map(([at]) => at));
  const yDomain = y.domain ?? extent(values.map(([, value]) => value!));
  const toX = (value: number) =>
    MARGIN.left + ((value - xDomain[0]) / (xDomain[1] - xDomain[0])) * (RIGHT - MARGIN.left);
  const toY = (value: number) =>
    BOTTOM - ((value - yDomain[0]) / (yDomain[1] - yDomain[0])) * (BOTTOM - MARGIN.top);
  const xTicks = ticks(...xDomain).map(
    (tick) =>
      html`<text x="${place(toX(tick))}" y="${BOTTOM + 16}" text-anchor="middle">${tickText(tick)}</text>`,
  );
  const yTicks = ticks(...yDomain).map((tick) => {
    const at = place(toY(tick));
    return html`<line class="grid" x1="${MARGIN.left}" x2="${RIGHT}" y1="${at}" y2="${at}"/><text
      x="${MARGIN.left - 6}" y="${at}" dy="0.32em" text-anchor="end">${tickText(tick)}</text>`;
  });
  const guess = reference?.map(([a, b]) => `${place(toX(a))},${place(toY(b))}`).join(' L');
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
<title>${title}</title>${yTicks}${xTicks}
<path class="axis" d="M${MARGIN.left},${MARGIN.top} V${BOTTOM} H${RIGHT}"/>
${guess && html`<path class="reference" d="M${guess}"/>`}
${marks.filter(({ x: at }) => at >= xDomain[0] && at <= xDomain[1]).map((mark) => markLine(toX(mark.x), mark.label))}
${drawn.map((one, i) => drawSeries(one, i, toX, toY))}
<text x="${(MARGIN.left + RIGHT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">${x.label}</text>
<text transform="translate(13 ${(MARGIN.top + BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${y.label}</text>
</svg>${legend(drawn)}`;
}

const isNumber = (value: number | null): value is number => value !== null && Number.isFinite(value);

function markLine(at: number, label: string): Html {
  return html`<line class="mark" x1="${place(at)}" x2="${place(at)}" y1="${MARGIN.top}" y2="${BOTTOM}"/><text
    class="mark" transform="translate(${place(at + 11)} ${MARGIN.top + 4}) rotate(90)">${label}</text>`;
}

/** Colours and dashes change together: lines stay apart without colours. */
function drawSeries(
  { points, dots }: Series,
  index: number,
  toX: (value: number) => number,
  toY: (value: number) => number,
): Html {
  const style = `s${index % 6}`;
  if (dots) {
    return html`${points
      .filter(([, value]) => isNumber(value))
      .map(
        ([x, y]) => html`<circle class="${style}" cx="${place(toX(x))}" cy="${place(toY(y!))}" r="3.5"/>`,
      )}`;
  }
  let pen = 'M';
  const path = points.map(([x, y]) => {
    if (!isNumber(y)) {
      pen = 'M';
      return '';
    }
    const piece = `${pen}${place(toX(x))},${place(toY(y))}`;
    pen = 'L';
    return piece;
  });
  return html`<path class="line ${style}" d="${path.join('')}"/>`;
}

function legend(series: readonly Series[]): Html {
  if (series.length < 2) return html``;
  const entries = series.map(
    ({ name }, i) =>
      html`<li><svg viewBox="0 0 24 8" aria-hidden="true"><path class="line s${i % 6}" d="M0,4 H24"/></svg> ${name}</li>`,
  );
  return html`<ul class="legend">${entries}</ul>`;
}
