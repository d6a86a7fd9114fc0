import { percent } from '../evaluation/score-table.js';
import { type Cell, formatTable } from '../export/table.js';
import type { ValidationScores } from './validation-scores.js';

/**
 * Scores of each class and their means, in percent: what a set of several classes is judged by (original: format_tabs).
 * @returns undefined with one foreground class, whose scores the line of the validation holds
 */
export function validationTable(scores: ValidationScores): string | undefined {
  const { classes, segScore, camScore, affScore } = scores;
  if (!classes) return undefined;
  const maps = [segScore, camScore, affScore];
  const columns = ['AUROC', 'AP', 'F1', ...(segScore ? ['seg IoU', 'CAM IoU', 'affinity IoU'] : [])];
  const rows = Array.from({ length: classes.length + 1 }, (_, c): Cell[] => {
    const one = classes[c - 1];
    return [
      one?.name ?? 'background',
      ...[one?.auroc, one?.averagePrecision, one?.f1].map(percent),
      ...maps.map((score) => percent(score?.iou[c])),
    ];
  });
  const means = [scores.auroc, scores.mAP, scores.f1].map(percent);
  rows.push(['mean', ...means, ...maps.map((score) => percent(score?.miou))]);
  if (segScore)
    for (const [name, key] of [
      ['pixel accuracy', 'pAcc'],
      ['class accuracy', 'mAcc'],
    ] as const)
      rows.push([name, null, null, null, ...maps.map((score) => percent(score?.[key]))]);
  const shown = rows.map((row) => row.slice(0, columns.length + 1));
  return formatTable(shown, {
    header: ['%', ...columns],
    align: ['left', ...columns.map(() => 'right' as const)],
  });
}
