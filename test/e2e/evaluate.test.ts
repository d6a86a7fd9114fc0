/** Evaluating a trained checkpoint: predictions, their scores, and what is refused. */
import { existsSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { readLabelPng } from '../../src/io/label-png.js';
import { readNpy } from '../../src/io/npy.js';
import { Workplace } from './workplace.js';

const place = new Workplace().phantom();
let config: string;

interface Scores {
  pAcc: number;
  mAcc: number;
  miou: number;
  iou: number[];
  dice: number[];
  imageDice: number;
}
interface Report {
  images: number;
  masks: number;
  predictions: string;
  scores: Record<string, Scores | null>;
  reasons: Record<string, string>;
  [key: string]: unknown;
}

beforeAll(async () => {
  config = place.config();
  const { code, stderr } = await place.train('--config', config);
  expect(code, stderr).toBe(0);
});

const evaluate = (...args: string[]) => place.evaluate('--config', config, ...args);

async function report(...args: string[]): Promise<Report> {
  const { code, stdout, stderr } = await evaluate('--json', ...args);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Report;
}

const predictions = (folder: string) => place.files(folder).filter((name) => name.endsWith('.png'));

/** Scores of the PNGs in a folder against the masks, by counting pixels. */
function scoresOfFiles(folder: string): Omit<Scores, 'imageDice'> {
  const pairs = predictions(folder).flatMap((file) => {
    const prediction = readLabelPng(place.path(folder, file)).data;
    const mask = readNpy(place.path('data', 'masks', file.replace('.png', '.npy'))).data as Uint8Array;
    return [...prediction].map((label, i) => [mask[i]!, label] as const);
  });
  const count = (test: (truth: number, label: number) => boolean) =>
    pairs.filter(([truth, label]) => test(truth, label)).length;
  const right = [0, 1].map((c) => count((t, p) => t === c && p === c));
  const truth = [0, 1].map((c) => count((t) => t === c));
  const either = [0, 1].map((c) => count((t, p) => t === c || p === c));
  const iou = right.map((n, c) => n / either[c]!);
  return {
    pAcc: (right[0]! + right[1]!) / pairs.length,
    mAcc: (right[0]! / truth[0]! + right[1]! / truth[1]!) / 2,
    miou: (iou[0]! + iou[1]!) / 2,
    iou,
    dice: right.map((n, c) => (2 * n) / (truth[c]! + count((_, p) => p === c))),
  };
}

function expectClose(received: Scores | null, expected: Omit<Scores, 'imageDice'>) {
  for (const [key, value] of Object.entries(expected)) {
    const got = received![key as keyof Scores];
    for (const [i, v] of [value].flat().entries()) expect([got].flat()[i], key).toBeCloseTo(v, 10);
  }
}

describe('predictions', () => {
  it('are written as label PNGs with the very scores of the table and of the JSON document', async () => {
    const { code, stdout, stderr } = await evaluate('--long_side', '96');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Wrote 6 predictions to work\/predictions, scores to work\/evaluation\.json/);
    const saved = place.json('work', 'evaluation.json') as unknown as Report;
    expect(saved).toMatchObject({
      dataset: 'lasc',
      split: 'val',
      images: 6,
      masks: 6,
      predictions: 'multiScale',
      checkpoint: 'work/checkpoints/best.pth',
      settings: { scales: [1, 0.5, 0.75], flip: true, long_side: 96 },
      reasons: {},
    });
    expectClose(saved.scores.multiScale!, scoresOfFiles('work/predictions'));
    expect(stdout).toMatch(/^% +raw +multi-scale$/m);
    const row = /^mIoU +(\S+) +(\S+)$/m.exec(stdout)!;
    const shown = [saved.scores.raw!, saved.scores.multiScale!].map(({ miou }) => (100 * miou).toFixed(2));
    expect(row.slice(1)).toEqual(shown);
    expect(stdout).toMatch(/^Dice +\S+ +\S+$/m);
  });

  it('of one plain pass have the scores that validation gave the checkpoint, maps included', async () => {
    const summary = place.json('work', 'summary.json') as Record<string, { iou: number[] } & object>;
    const document = await report('--scales', '1', '--no-flip', '--cam', '--output_dir', 'plain');
    expect(Object.keys(document.scores)).toEqual(['raw', 'cam', 'affinity']);
    expect(document.scores.raw).toMatchObject(summary.segScore!);
    expect(document.scores.cam).toMatchObject(summary.camScore!);
    expect(document.scores.affinity).toMatchObject(summary.affScore!);
    expect(document.scores.raw!.imageDice).toBe(summary.segDice);
    expectClose(document.scores.raw!, scoresOfFiles('plain'));
    expect(place.json('work', 'evaluation.json')).toEqual(document);
  });

  it('are refined by the CRF with --crf, which leaves the other scores as they are', async () => {
    const document = await report('--crf', '--scales', '1', '--output_dir', 'crf');
    expect(Object.keys(document.scores)).toEqual(['raw', 'multiScale', 'crf']);
    expect(document.predictions).toBe('crf');
    expectClose(document.scores.crf!, scoresOfFiles('crf'));
    const without = await report('--scales', '1', '--output_dir', 'no-crf');
    expect(without.scores).toEqual({ raw: document.scores.raw, multiScale: document.scores.multiScale });
    expectClose(without.scores.multiScale!, scoresOfFiles('no-crf'));
  });

  it('of another split and checkpoint; --no_flip is --no-flip', async () => {
    const args = ['--split', 'train', '--checkpoint', 'work/checkpoints/wetr_iter_4.pth', '--no_flip'];
    const document = await report(...args, '--output_dir', 'train-split');
    expect(document).toMatchObject({ images: 18, split: 'train', settings: { flip: false } });
    expect(predictions('train-split')).toHaveLength(18);
  });

  it('are written without masks too; scores are null with the reason', async () => {
    const bare = place.config({ 'dataset.masks_dir': 'data/none' }, 'bare');
    const args = ['--config', bare, '--cam', '--output_dir', 'bare'];
    const table = await place.evaluate(...args);
    expect(table).toMatchObject({
      code: 0,
      stdout: 'No scores: no image of the split has a mask in data/none.\n',
    });
    const document = JSON.parse((await place.evaluate(...args, '--json')).stdout) as Report;
    const why = 'no image of the split has a mask in data/none';
    expect(document).toMatchObject({
      masks: 0,
      scores: { raw: null, multiScale: null, cam: null, affinity: null },
      reasons: { raw: why, multiScale: why, cam: why, affinity: why },
    });
    expect(predictions('bare')).toHaveLength(6);
  });
});

describe('a second run', () => {
  const args = ['--cam', '--output_dir', 'again'];
  /** Sums in another order differ in their last digit. */
  const scoresOf = ({ scores }: Report): unknown =>
    JSON.parse(JSON.stringify(scores), (_, value) => (typeof value === 'number' ? value.toFixed(12) : value));
  let first: Report;
  const slice = () => place.files('data/imageSlice')[0]!;

  it('reads and computes nothing that is there, and gives the same scores of every kind', async () => {
    first = await report(...args);
    expect(first.reused).toBe(0);
    // Whatever reads it again fails. Its time stays: a newer file is predicted anew.
    const { atime, mtime } = statSync(place.path('data/imageSlice', slice()));
    const bytes = place.read('data/imageSlice', slice());
    writeFileSync(place.path('data/imageSlice', slice()), 'damaged');
    utimesSync(place.path('data/imageSlice', slice()), atime, mtime);
    const { code, stdout, stderr } = await evaluate(...args, '--json', '--batch_size', '4');
    writeFileSync(place.path('data/imageSlice', slice()), bytes);
    utimesSync(place.path('data/imageSlice', slice()), atime, mtime);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('Wrote 0 predictions to again');
    expect(stderr).toContain('6 predictions were there already (--overwrite redoes them)');
    const second = JSON.parse(stdout) as Report;
    expect(second).toEqual({ ...first, reused: 6, seconds: second.seconds });
  });

  it('does again what is missing, what is older than its slice or its mask, and all with --overwrite', async () => {
    const [missing, newer, masked] = predictions('again').map((name) => name.replace('.png', ''));
    rmSync(place.path('again', `${missing}.png`));
    const soon = new Date(Date.now() + 10_000);
    utimesSync(place.path('data/imageSlice', `${newer}.npy`), soon, soon);
    utimesSync(place.path('data/masks', `${masked}.npy`), soon, soon);
    const partly = await report(...args);
    expect(partly.reused).toBe(3);
    expect(scoresOf(partly)).toEqual(scoresOf(first));
    for (const file of [`imageSlice/${newer}.npy`, `masks/${masked}.npy`])
      utimesSync(place.path('data', file), new Date(), new Date(Date.now() - 60_000));
    expect(await report(...args)).toMatchObject({ reused: 6 });
    expect(await report(...args, '--overwrite')).toMatchObject({ reused: 0, scores: first.scores });
  });

  it('does all again with other weights or settings', async () => {
    const other = await report(...args, '--no-flip');
    expect(other.reused).toBe(0);
    expect(scoresOf(other)).not.toEqual(scoresOf(first));
    const weights = await report(...args, '--no-flip', '--checkpoint', 'work/checkpoints/wetr_iter_4.pth');
    expect([0, 6]).toContain(weights.reused);
    const { bestIteration } = place.json('work', 'summary.json');
    expect(weights.reused).toBe(bestIteration === 4 ? 6 : 0);
  });

  it('goes on after a journal whose last line was cut short', async () => {
    await report(...args);
    const journal = place.path('again/.evaluation.jsonl');
    const text = place.read('again/.evaluation.jsonl').toString();
    writeFileSync(journal, text.slice(0, -20));
    const mended = await report(...args);
    expect(mended.reused).toBe(5);
    expect(scoresOf(mended)).toEqual(scoresOf(first));
    expect(await report(...args)).toMatchObject({ reused: 6 });
  });
});

describe('Ctrl-C', () => {
  it('stops after an image with 130, and leaves no scores of a part', async () => {
    rmSync(place.path('work', 'evaluation.json'), { force: true });
    const args = ['--config', config, '--split', 'train', '--device', 'cpu', '--long_side', '256', '--json'];
    const running = place.start('evaluate.js', [...args, '--output_dir', 'stopped']);
    await running.says('Evaluating work/checkpoints/best.pth on 18 images');
    const { code, stdout, stderr } = await running.signal('SIGINT');
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toContain('Stopping after this image; press Ctrl-C again to leave at once.');
    expect(existsSync(place.path('work', 'evaluation.json'))).toBe(false);
    const written = predictions('stopped');
    expect(written.length).toBeLessThan(18);
    for (const file of written)
      expect(readLabelPng(place.path('stopped', file))).toMatchObject({ height: 64, width: 64 });
    const rest = ['--split', 'train', '--long_side', '256', '--output_dir', 'stopped'];
    expect(await report(...rest)).toMatchObject({ images: 18, masks: 18, reused: written.length });
  });
});

describe('faults', () => {
  const refused = async (...args: string[]) => {
    const ended = await evaluate(...args);
    expect(ended, ended.stderr).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).not.toMatch(/^\s+at /m);
    return ended.stderr;
  };

  it.each([
    [['--checkpoint', 'no.pth'], 'Expected a checkpoint at no.pth but there is no such file.'],
    [['--split', 'nowhere'], "'nowhere'"],
    [
      ['--set', 'dataset.num_classes=3'],
      'classifier.weight: expected [2, 256, 1, 1] but received [1, 256, 1, 1]',
    ],
    [['--scales', '0.1'], 'set test.scales to larger factors'],
    [['--output_dir', 'tiny.yaml'], 'tiny.yaml is a file'],
  ])('%j', async (args, message) => {
    expect(await refused('--output_dir', 'refused', ...args)).toContain(message);
    expect(place.files('refused')).toEqual([]);
  });

  it('refuses the folders of the data, by whatever name', async () => {
    const before = place.files('data');
    symlinkSync(place.path('data'), place.path('link'));
    for (const [folder, key] of [
      ['data/masks', 'dataset.masks_dir'],
      ['./link/../link/masks/new', 'dataset.masks_dir'],
      ['data/imageSlice', 'dataset.root_dir'],
    ] as const) {
      const message = await refused('--output_dir', folder);
      expect(message).toContain(`Expected a folder outside of ${key}`);
      expect(message).toContain(`received ${folder}:`);
    }
    expect(place.files('data')).toEqual(before);
  });

  it('shows help with examples', async () => {
    const { code, stdout } = await place.evaluate('--help');
    expect(code).toBe(0);
    for (const flag of ['--split', '--scales', '--no-flip', '--long_side', '--cam', '--output_dir', '--json'])
      expect(stdout).toContain(flag);
    expect(stdout).toContain('Examples:');
  });
});
