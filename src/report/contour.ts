import type { Mask } from '../datasets/sample.js';

/**
 * The outline of a class as an SVG path in pixel units: along the pixels' own edges, so that it shows exactly which
 * are in. Straight runs are one segment each.
 */
export function contourPath({ data, height, width }: Mask, classIndex: number): string {
  const inside = (y: number, x: number) =>
    y >= 0 && x >= 0 && y < height && x < width && data[y * width + x] === classIndex;
  const path: string[] = [];
  // Edges above row y (below the last one too), then edges left of column x.
  for (let y = 0; y <= height; y++)
    runs(
      width,
      (x) => inside(y, x) !== inside(y - 1, x),
      (from, to) => path.push(`M${from},${y}H${to}`),
    );
  for (let x = 0; x <= width; x++)
    runs(
      height,
      (y) => inside(y, x) !== inside(y, x - 1),
      (from, to) => path.push(`M${x},${from}V${to}`),
    );
  return path.join('');
}

/** Calls `found` with each half-open run of positions for which `holds`. */
function runs(
  length: number,
  holds: (at: number) => boolean,
  found: (from: number, to: number) => void,
): void {
  let from = -1;
  for (let at = 0; at <= length; at++) {
    const is = at < length && holds(at);
    if (is && from < 0) from = at;
    if (!is && from >= 0) {
      found(from, at);
      from = -1;
    }
  }
}
