/**
 * Polygons to pixels by the rule of COCO's own tools (pycocotools, `frPyObjects`), so that masks, areas and scores agree
 * with those of the field to the pixel.
 */

import type { PixelRanges } from './coco-rle.js';

/** Outlines are walked on a grid five times as fine as the pixels. */
const FINE = 5;

/**
 * Pixels inside one polygon.
 *
 * The outline is drawn on the fine grid, point by point. Wherever it steps from one fine column to the next, and that
 * step lies over the middle of a pixel column, it crosses that column: all pixels below the crossing change between
 * inside and outside. Sorted, the crossings are the ends of the runs.
 *
 * @param xy x and y of the corners in turn, in pixels; the last corner joins the first
 */
export function polygonRanges(xy: readonly number[], height: number, width: number): PixelRanges {
  const crossings: number[] = [];
  let previous: { x: number; y: number } | undefined;
  walkOutline(xy, (x, y) => {
    if (previous !== undefined && x !== previous.x) {
      // Two fine columns around the middle of pixel column c are 5c + 2 and 5c + 3: their step has index 5c + 2.
      const column = (Math.min(x, previous.x) - 2) / FINE;
      if (Number.isInteger(column) && column >= 0 && column < width) {
        const row = (Math.min(y, previous.y) + 0.5) / FINE - 0.5;
        crossings.push(column * height + Math.ceil(Math.min(Math.max(row, 0), height)));
      }
    }
    previous = { x, y };
  });
  crossings.sort((a, b) => a - b);
  // Beyond the last crossing an odd outline (one that leaves the picture) fills to the end.
  if (crossings.length % 2 === 1) crossings.push(height * width);
  const ranges: [number, number][] = [];
  for (let i = 0; i < crossings.length; i += 2) {
    const [start, end] = [crossings[i]!, crossings[i + 1]!];
    if (start < end) ranges.push([start, end]);
  }
  return ranges;
}

/** Visits the points of the outline on the fine grid, one for each step along the longer axis of an edge. */
function walkOutline(xy: readonly number[], visit: (x: number, y: number) => void): void {
  // Coordinates are cut towards zero after half a step is added, as a C conversion to int does.
  const fine = (value: number): number => Math.trunc(FINE * value + 0.5);
  const corners = xy.length / 2;
  for (let corner = 0; corner < corners; corner++) {
    const next = (corner + 1) % corners;
    const from = { x: fine(xy[2 * corner]!), y: fine(xy[2 * corner + 1]!) };
    const to = { x: fine(xy[2 * next]!), y: fine(xy[2 * next + 1]!) };
    walkEdge(from, to, visit);
  }
}

interface Point {
  x: number;
  y: number;
}

function walkEdge(from: Point, to: Point, visit: (x: number, y: number) => void): void {
  const [dx, dy] = [Math.abs(to.x - from.x), Math.abs(to.y - from.y)];
  const steps = Math.max(dx, dy);
  if (steps === 0) return;
  const alongX = dx >= dy;
  // Rounding is always measured from the end with the smaller coordinate: an edge shared by two polygons, which walk it
  // in opposite directions, gives the same points.
  const reversed = alongX ? from.x > to.x : from.y > to.y;
  const [low, high] = reversed ? [to, from] : [from, to];
  const slope = alongX ? (high.y - low.y) / dx : (high.x - low.x) / dy;
  for (let i = 0; i <= steps; i++) {
    const t = reversed ? steps - i : i;
    if (alongX) visit(low.x + t, Math.trunc(low.y + slope * t + 0.5));
    else visit(Math.trunc(low.x + slope * t + 0.5), low.y + t);
  }
}
