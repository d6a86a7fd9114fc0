import { type Cell, formatTable } from '../export/table.js';
import type { Evaluation, LabelKind } from './evaluate-images.js';
import type { LabelScores } from './label-scores.js';

const TITLES: Record<LabelKind, string> = {
  raw: 'raw',
  multiScale: 'multi-scale',
  crf: 'CRF',
  cam: 'CAM',
  affinity: 'affinity CAM',
};

/** Percent with two decimals, as the field's tables give IoU; null stays visible. */
export const percent = (value: number | null | undefined): Cell =>
  value === null || value === undefined ? null : (100 * value).toFixed(2);

/** Kinds of label maps as columns; IoU of each class, means and Dice as rows. */
export function scoreTable(scores: Evaluation['scores'], classes: readonly string[]): string {
  const kinds = (Object.keys(TITLES) as LabelKind[]).filter((kind) => scores[kind] !== undefined);
  const row = (name: string, value: (score: LabelScores) => number | null | undefined): Cell[] => [
    name,
    ...kinds.map((kind) => {
      const score = scores[kind];
      return score ? percent(value(score)) : null;
    }),
  ];
  const rows = [
    ...classes.map((name, c) => row(`IoU ${name}`, ({ iou }) => iou[c])),
    row('mIoU', ({ miou }) => miou),
    row('mAcc', ({ mAcc }) => mAcc),
    row('pAcc', ({ pAcc }) => pAcc),
    ...(classes.length === 2 ? [row('Dice', ({ dice }) => dice[1])] : []),
    row('Dice, mean of images', ({ imageDice }) => imageDice),
  ];
  const header = ['%', ...kinds.map((kind) => TITLES[kind])];
  return formatTable(rows, { header, align: ['left', ...kinds.map(() => 'right' as const)] });
}
