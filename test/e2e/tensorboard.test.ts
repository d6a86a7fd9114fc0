/** What a training leaves for TensorBoard: curves and pictures of every phase, also of a run that was killed. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SummaryValue } from '../../src/io/tensorboard/event.js';
import { eventFiles, readRun } from '../../src/io/tensorboard/event-file.js';
import { findPython, runPython } from '../oracles/python.js';
import { READ_RUNS } from '../oracles/tensorboard.js';
import { type Ended, Workplace } from './workplace.js';

const ATTENTION = ['top_stages', 'last_stage'].flatMap((kind) =>
  [0, 1, 2, 3].map((i) => `attns/${kind}_case${i}`),
);
const LABELS = ['train/preds', 'train/pseudo_gts', 'train/pseudo_ref_gts', 'train/aff_gts', 'cam/valid_cams'];
const COUNTS = ['count/pos_count', 'count/neg_count', 'count/foreground', 'count/background'];

const place = new Workplace().phantom();
/** `work` as it is by default but for its log lines, `plain` without TensorBoard, `killed` resumed after a SIGKILL. */
let ended: Ended[];
let killed: Ended;
beforeAll(async () => {
  const plain = { 'work_dir.dir': 'plain', 'train.tensorboard': { enabled: false } };
  ended = [
    await place.train('--config', place.config()),
    await place.train('--config', place.config(plain, 'plain')),
  ];
  // Each step of the rest in a line, so that it is killed well before the end but after last.pth of iteration 4.
  const file = place.config(
    { 'work_dir.dir': 'killed', 'train.max_iters': 12, 'train.eval_iters': 4 },
    'killed',
  );
  const first = place.start('train.js', ['--cpu', '--config', file]);
  await first.says('Iter: 7; Elapsed');
  killed = await first.signal('SIGKILL');
  ended.push(await place.train('--config', file, '--resume'));
});

/** The one run in a work directory. */
function board(work: string): string {
  const runs = readdirSync(place.path(work, 'tb_logger'));
  expect(runs).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\d-\d\d-\d\d$/)]);
  return place.path(work, 'tb_logger', runs[0]!);
}

type Shown = SummaryValue & { step: number };
const shownIn = (folder: string): Shown[] =>
  readRun(folder).flatMap(({ step, values }) => values.map((value) => ({ step, ...value })));
const tagsAt = (shown: Shown[], step: number, kind: string) =>
  shown.filter((value) => value.step === step && value.kind === kind).map(({ tag }) => tag);
const curve = (shown: Shown[], tag: string) =>
  shown.flatMap((value) => (value.kind === 'scalar' && value.tag === tag ? [[value.step, value.value]] : []));

it('runs', () => {
  expect(ended.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(killed.signal).toBe('SIGKILL');
});

describe('a run', () => {
  it("shows the original's pictures of each phase", () => {
    const shown = shownIn(board('work'));
    const pictures = (step: number) => tagsAt(shown, step, 'image').sort();
    expect(pictures(3)).toEqual(['train/images', ...ATTENTION].sort());
    expect(pictures(4)).toEqual(['train/images', ...LABELS, ...ATTENTION].sort());
    const propagated = ['cam/aff_cams', 'cam/refined_aff_cams'];
    expect(pictures(6)).toEqual(['train/images', ...LABELS, ...propagated, ...ATTENTION].sort());
  });

  it('lays two images of 64 pixels beside each other, and maps by image, block and head', async () => {
    for (const value of shownIn(board('work'))) {
      if (value.kind !== 'image') continue;
      // Two pixels around each; mit_b0 has eight blocks, of which the last two have eight heads.
      const expected = value.tag.startsWith('attns/top')
        ? [7 * 66 + 2, 2 * 66 + 2]
        : value.tag.startsWith('attns/last')
          ? [8 * 66 + 2, 4 * 66 + 2]
          : [2 * 66 + 2, 66 + 2];
      const { width, height, channels } = await sharp(value.png).metadata();
      expect([width, height, channels], value.tag).toEqual([...expected, 3]);
      expect([value.width, value.height]).toEqual(expected);
    }
  });

  it('paints labels in the VOC palette', async () => {
    const shown = shownIn(board('work'));
    const labels = shown.filter((value) => value.kind === 'image' && /_gts|preds/.test(value.tag));
    expect(labels.length).toBeGreaterThan(0);
    const colours = new Set<string>();
    for (const value of labels) {
      const raw = await sharp((value as { png: Uint8Array }).png)
        .raw()
        .toBuffer();
      for (let i = 0; i < raw.length; i += 3) colours.add(raw.subarray(i, i + 3).toString('hex'));
    }
    // Background, class 1 and ignored pixels.
    for (const colour of colours) expect(['000000', '800000', 'e0e0c0']).toContain(colour);
  });

  it('shows what metrics.jsonl holds: losses as one chart, counts, rate and scores', () => {
    const run = board('work');
    const lines = place.metrics() as Record<string, number>[];
    const steps = lines.filter((line) => (line as { kind: unknown }).kind === 'train');
    const later = steps.filter((line) => (line as { phase: unknown }).phase !== 'cls');
    const close = (actual: number[][], expected: number[][]) =>
      expect(actual).toEqual(expected.map(([step, value]) => [step, Math.fround(value!)]));
    const column = (from: Record<string, number>[], key: string) =>
      from.map((line) => [line.iteration!, line[key]!]);
    close(curve(shownIn(join(run, 'train_loss_cls_loss')), 'train/loss'), column(steps, 'clsLoss'));
    close(curve(shownIn(join(run, 'train_loss_seg_loss')), 'train/loss'), column(later, 'segLoss'));
    close(curve(shownIn(join(run, 'train_loss_aff_loss')), 'train/loss'), column(later, 'affLoss'));
    const shown = shownIn(run);
    close(curve(shown, 'train/lr'), column(steps, 'lr'));
    close(curve(shown, 'count/pos_count'), column(later, 'posCount'));
    close(curve(shown, 'train/pseudo_seg_mAcc'), column(later, 'segAgreement'));
    expect(tagsAt(shown, 3, 'scalar')).toEqual(['train/lr']);
    expect(tagsAt(shown, 5, 'scalar')).toEqual(['train/lr', ...COUNTS, 'train/pseudo_seg_mAcc']);
    const validations = lines.filter((line) => (line as { kind: unknown }).kind === 'validation');
    close(curve(shown, 'val/auroc'), column(validations, 'auroc'));
    expect(curve(shown, 'val_camDice/0.45').map(([step]) => step)).toEqual([4, 8]);
    expect(curve(shown, 'val/images')).toEqual([]);
  });

  it('learns the same without TensorBoard, and then leaves nothing for it', () => {
    const weights = (work: string) => place.read(work, 'checkpoints', 'wetr_iter_8.pth');
    expect(weights('plain').equals(weights('work'))).toBe(true);
    expect(place.files('plain', 'tb_logger')).toEqual([]);
  });
});

it('shows each step once after a resume, in the same folder, though the killed session had gone further', () => {
  const run = board('killed');
  expect(eventFiles(run)).toHaveLength(2);
  const steps = Array.from({ length: 12 }, (_, i) => i + 1);
  const shown = shownIn(run);
  expect(curve(shown, 'train/lr').map(([step]) => step)).toEqual(steps);
  expect(curve(shownIn(join(run, 'train_loss_cls_loss')), 'train/loss').map(([step]) => step)).toEqual(steps);
  const images = shown.filter(({ kind, tag }) => kind === 'image' && tag === 'train/images');
  expect(images.map(({ step }) => step)).toEqual(steps);
  expect(curve(shown, 'val/loss').map(([step]) => step)).toEqual([4, 8, 12]);
});

const python = findPython(['tensorboard']);
describe.skipIf(!python)('the real tensorboard', () => {
  type Run = { scalars: Record<string, number[][]>; images: Record<string, unknown[][]>; texts: object };
  it('reads the same', () => {
    for (const work of ['work', 'killed']) {
      const folder = board(work);
      const runs = JSON.parse(runPython(python!, READ_RUNS, [folder])) as Record<string, Run>;
      const losses = ['aff_loss', 'cls_loss', 'seg_loss'].map((name) => `train_loss_${name}`);
      expect(Object.keys(runs).sort()).toEqual(['.', ...losses]);
      for (const [name, { scalars, images }] of Object.entries(runs)) {
        const ours = shownIn(join(folder, name));
        for (const [tag, values] of Object.entries(scalars)) expect(values, tag).toEqual(curve(ours, tag));
        const pictures = ours.filter((value) => value.kind === 'image');
        expect(Object.keys(images).sort()).toEqual([...new Set(pictures.map(({ tag }) => tag))].sort());
        for (const [tag, values] of Object.entries(images))
          expect(values, tag).toEqual(
            pictures
              .filter((value) => value.tag === tag)
              .map(({ step, width, height, png }) => [
                step,
                width,
                height,
                Buffer.from(png).toString('base64'),
              ]),
          );
      }
      expect(runs['.']!.texts).toHaveProperty('config/text_summary');
    }
  });
});
