import { cumulativeCounts, type Ranking } from './ranking.js';

/** Points from the highest threshold to the lowest. The first has no threshold: nothing is predicted positive. */
export interface RocCurve {
  falsePositiveRate: number[];
  sensitivity: number[];
  /** Predicted positive is `score >= threshold`, as in scikit-learn's curves. */
  threshold: (number | null)[];
}

/** Points from recall 0 to recall 1; the first is (0, 1) by convention, as in scikit-learn. */
export interface PrecisionRecallCurve {
  recall: number[];
  precision: number[];
  threshold: (number | null)[];
}

/**
 * The ROC curve without the points that lie on a straight line between their neighbours: what is drawn, and the
 * area under it, are those of scikit-learn's `roc_curve`. Null without a positive or without a negative.
 */
export function rocCurve(ranking: Ranking, labels: ArrayLike<number>): RocCurve | null {
  const { tp, fp } = cumulativeCounts(ranking, labels);
  const positives = tp.at(-1) ?? 0;
  const negatives = fp.at(-1) ?? 0;
  if (positives === 0 || negatives === 0) return null;
  const kept: number[] = [];
  const x = (point: number) => (point < 0 ? 0 : fp[point]!);
  const y = (point: number) => (point < 0 ? 0 : tp[point]!);
  // Counts are integers, so that collinear is exact. Point -1 is the origin.
  for (let point = -1; point < tp.length; point++) {
    const [a, b] = kept.slice(-2);
    if (
      b !== undefined &&
      a !== undefined &&
      (x(b) - x(a)) * (y(point) - y(a)) === (y(b) - y(a)) * (x(point) - x(a))
    ) {
      kept.pop();
    }
    kept.push(point);
  }
  return {
    falsePositiveRate: kept.map((point) => x(point) / negatives),
    sensitivity: kept.map((point) => y(point) / positives),
    threshold: kept.map((point) => ranking.values[point] ?? null),
  };
}

/**
 * The precision-recall curve without the points that lie on a level or upright line between their neighbours.
 * Points are those of scikit-learn's `precision_recall_curve`, whose order is the reverse. Null without a positive.
 */
export function precisionRecallCurve(
  ranking: Ranking,
  labels: ArrayLike<number>,
): PrecisionRecallCurve | null {
  const { tp, fp } = cumulativeCounts(ranking, labels);
  const positives = tp.at(-1) ?? 0;
  if (positives === 0) return null;
  const kept: number[] = [];
  const sameRecall = (a: number, b: number) => tp[a] === tp[b];
  const samePrecision = (a: number, b: number) => tp[a]! * fp[b]! === tp[b]! * fp[a]!;
  for (let point = 0; point < tp.length; point++) {
    const [a, b] = kept.slice(-2);
    const straight = (same: typeof sameRecall) =>
      a !== undefined && b !== undefined && same(a, b) && same(b, point);
    if (straight(sameRecall) || straight(samePrecision)) kept.pop();
    kept.push(point);
  }
  return {
    recall: [0, ...kept.map((point) => tp[point]! / positives)],
    precision: [1, ...kept.map((point) => tp[point]! / (tp[point]! + fp[point]!))],
    threshold: [null, ...kept.map((point) => ranking.values[point]!)],
  };
}
