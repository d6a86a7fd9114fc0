/** Chooses the cases that a reader should see, and makes their pictures. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { className } from '../datasets/class-names.js';
import type { Dataset } from '../datasets/dataset.js';
import { mapIntensity } from '../datasets/intensity.js';
import { toRgb } from '../datasets/sample.js';
import { encodePng } from '../export/png.js';
import { hashSeed, Random } from '../loading/random.js';
import type { CaseRow } from '../metrics/index.js';
import { contourPath } from './contour.js';
import { shown } from './numbers.js';
import type { GalleryGroup, GalleryItem } from './sections/gallery.js';

/** Images in one group. */
const SHOWN = 8;
/** A class is called above this score. */
const CALLED = 0.5;

interface Choice {
  title: string;
  note: string;
  cases: CaseRow[];
}

const scoreOf = ({ scores }: CaseRow): number => Math.max(...scores);
const scoresWhere = ({ labels, scores }: CaseRow, label: number): number[] =>
  scores.filter((_, c) => labels[c] === label);
/** Highest score of a class that the image lacks, lowest of one that it has; infinite where there is none. */
const alarmOf = (one: CaseRow): number => Math.max(...scoresWhere(one, 0));
const missOf = (one: CaseRow): number => Math.min(...scoresWhere(one, 1));

/** Dice of the class activation map, mean over the classes that the image shows. */
function diceOf({ localisation }: CaseRow): number | null {
  const values = (localisation.cam ?? []).flatMap((row) =>
    row?.dice === null || row?.dice === undefined ? [] : [row.dice],
  );
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The best, the worst and some random cases: a report that shows its best alone cannot be trusted. */
export function chooseCases(cases: readonly CaseRow[], seed: number): Choice[] {
  const overlapping = cases.filter((one) => diceOf(one) !== null).sort((a, b) => diceOf(b)! - diceOf(a)!);
  const best = overlapping.slice(0, SHOWN);
  const worst = overlapping.slice(best.length).slice(-SHOWN).reverse();
  const falseAlarms = cases.filter((one) => alarmOf(one) > CALLED).sort((a, b) => alarmOf(b) - alarmOf(a));
  const missed = cases.filter((one) => missOf(one) <= CALLED).sort((a, b) => missOf(a) - missOf(b));
  const several = (cases[0]?.labels.length ?? 1) > 1;
  const order = new Random(hashSeed(seed, 'report gallery')).permutation(cases.length);
  const random = [...order].slice(0, SHOWN).map((i) => cases[i]!);
  return [
    { title: 'Best maps', note: 'Highest Dice at the chosen threshold.', cases: best },
    { title: 'Worst maps', note: 'Lowest Dice at the chosen threshold.', cases: worst },
    {
      title: 'False alarms',
      note: several
        ? 'Called to show a class that they lack, with the highest scores.'
        : 'Negative, and called positive with the highest scores.',
      cases: falseAlarms.slice(0, SHOWN),
    },
    {
      title: 'Missed',
      note: several
        ? 'Show a class that was not called, with the lowest scores.'
        : 'Positive, and called negative with the lowest scores.',
      cases: missed.slice(0, SHOWN),
    },
    { title: 'Random', note: 'Drawn without looking.', cases: random },
  ];
}

/** @param mapsDir heatmaps `{name}_{score}.png`; an image without one is left out */
export async function buildGallery(
  dataset: Dataset,
  cases: readonly CaseRow[],
  mapsDir: string,
  seed: number,
): Promise<GalleryGroup[]> {
  const heatmaps = heatmapsIn(mapsDir);
  const indices = new Map(dataset.names.map((name, i) => [name, i]));
  const groups: GalleryGroup[] = [];
  for (const { title, note, cases: chosen } of chooseCases(cases, seed)) {
    const items: GalleryItem[] = [];
    for (const one of chosen) {
      const [index, heatmap] = [indices.get(one.name), heatmaps.get(one.name)];
      if (index === undefined || heatmap === undefined) continue;
      items.push(await itemOf(dataset, index, one, join(mapsDir, heatmap)));
    }
    groups.push({ title, note, items });
  }
  return groups;
}

/** Of several classes, those that the image has and those it was wrongly called to have; of one, whether it has it. */
export function captionOf(one: CaseRow, names?: readonly string[]): string {
  const { labels, scores } = one;
  if (labels.length === 1)
    return `${labels[0] === 1 ? 'positive' : 'negative'}, score ${shown(scoreOf(one))}`;
  const told = (wanted: (c: number) => boolean) =>
    labels.flatMap((_, c) => (wanted(c) ? [`${className(names, c)} ${shown(scores[c])}`] : []));
  const present = told((c) => labels[c] === 1);
  const alarms = told((c) => labels[c] === 0 && scores[c]! > CALLED);
  const wrong = alarms.length === 0 ? '' : `; wrongly called ${alarms.join(', ')}`;
  return `${present.length === 0 ? 'no class' : present.join(', ')}${wrong}`;
}

const dataUrl = (png: Uint8Array): string => `data:image/png;base64,${Buffer.from(png).toString('base64')}`;

async function itemOf(dataset: Dataset, index: number, one: CaseRow, heatmap: string): Promise<GalleryItem> {
  const image = await dataset.readImage(index);
  const mask = await dataset.readMask(index, image);
  const { height, width } = image;
  // Stretched to the whole range: on a screen, slices are often too dark to see anything in.
  const bytes = mapIntensity(toRgb(image).data, 'minmax');
  const classes = dataset.numClasses - 1;
  const contours = mask ? Array.from({ length: classes }, (_, c) => contourPath(mask, c + 1)) : [];
  return {
    name: one.name,
    image: dataUrl(await encodePng(bytes, height, width)),
    heatmap: dataUrl(readFileSync(heatmap)),
    height,
    width,
    contours: contours.filter((path) => path !== ''),
    caption: captionOf(one, dataset.classNames),
    dice: diceOf(one),
  };
}

/** File names of heatmaps by image. */
function heatmapsIn(folder: string): Map<string, string> {
  let files: string[];
  try {
    files = readdirSync(folder);
  } catch {
    // Nothing was exported: the report goes without pictures.
    return new Map();
  }
  return new Map(
    files.flatMap((file) => {
      const name = /^(.*)_\d\.\d{3}\.png$/.exec(file)?.[1];
      return name === undefined ? [] : [[name, file] as const];
    }),
  );
}
