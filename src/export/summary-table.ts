import { type Cell, formatTable } from './table.js';

/** The scores that a run ends with; null stays visible as n/a. */
interface Scores {
  images: number;
  /** Of several classes. */
  classes?: readonly unknown[];
  auroc: number | null;
  accuracy: number | null;
  f1: number | null;
  camDiceBest: { threshold: string; dice: number } | null;
  segDice: number | null;
  pointingGame: number | null;
  segScore: { miou: number } | null;
  camScore: { miou: number } | null;
  affScore: { miou: number } | null;
  iterations: number;
  bestIteration: number;
  evaluation?: {
    perSlice: { auroc: Interval };
    perPatient: unknown;
    localisation: Record<
      string,
      { threshold: string | null; scores: { dice: Interval; pointingGame: Interval } }
    >;
  };
}

type Interval = { value: number | null; low: number | null; high: number | null };

/** The short table at the end of a training: scores of best.pth on validation, and where everything lies. */
export function summaryTable(
  summary: Scores,
  paths: { best: string; summary: string; metrics: string; report: string },
  exported: { outputDir: string; camNpyDir: string; written: number },
): string {
  const { camDiceBest } = summary;
  const shown = (value: number | null): Cell => value?.toFixed(3) ?? 'n/a';
  const range = (score: Interval | undefined): Cell =>
    score?.low == null ? '' : `${score.low.toFixed(3)} to ${score.high!.toFixed(3)}`;
  const { perSlice, perPatient, localisation } = summary.evaluation ?? {};
  // Of several classes, intervals belong to means over classes, as in the report; summary.json's scores of maps are
  // means over all pairs of image and class.
  const macro = summary.classes ? localisation : undefined;
  const [cam, seg] = [macro?.cam, macro?.seg];
  const threshold = cam ? cam.threshold : camDiceBest?.threshold;
  const at = threshold ? ` (threshold ${threshold})` : '';
  const rows: Cell[][] = [
    [
      summary.classes ? 'AUROC, mean of classes' : `${perPatient === null ? 'image' : 'slice'} AUROC`,
      shown(summary.auroc),
      range(perSlice?.auroc),
    ],
    ['accuracy', shown(summary.accuracy)],
    ['F1', shown(summary.f1)],
    [
      'pointing game',
      shown(cam ? cam.scores.pointingGame.value : summary.pointingGame),
      range(localisation?.cam?.scores.pointingGame),
    ],
    [
      `CAM Dice, best${at}`,
      shown(cam ? cam.scores.dice.value : (camDiceBest?.dice ?? null)),
      range(localisation?.cam?.scores.dice),
    ],
    [
      'segmentation Dice',
      shown(seg ? seg.scores.dice.value : summary.segDice),
      range(localisation?.seg?.scores.dice),
    ],
  ];
  if (summary.segScore)
    rows.push(
      ['segmentation mIoU', shown(summary.segScore.miou)],
      ['CAM mIoU', shown(summary.camScore?.miou ?? null)],
      ['affinity CAM mIoU', shown(summary.affScore?.miou ?? null)],
    );
  const title = `best.pth (iteration ${summary.bestIteration} of ${summary.iterations}) on ${summary.images} validation images; 95 % intervals by ${summary.evaluation?.perPatient ? 'patient' : 'image'}${summary.classes ? '; means over the classes' : ''}`;
  return [
    title,
    '',
    formatTable(rows, { align: ['left', 'right', 'left'] }),
    '',
    formatTable([
      ['weights', paths.best],
      ['attention maps', exported.outputDir],
      ['CAM arrays', exported.camNpyDir],
      ['report', paths.report],
      ['scores', paths.summary],
      ['log of metrics', paths.metrics],
    ]),
  ].join('\n');
}
