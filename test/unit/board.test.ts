import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { makeGrid } from '../../src/export/grid.js';
import { VIRIDIS_LUT } from '../../src/export/palette.js';
import { EventWriter, readRun } from '../../src/io/tensorboard/event-file.js';
import { Board, scoreCurves } from '../../src/training/board.js';

const root = mkdtempSync(join(tmpdir(), 'board-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('makeGrid', () => {
  const tile = (value: number) => new Uint8Array(3).fill(value);
  const red = ({ rgb, width }: { rgb: Uint8Array; width: number }) => {
    const values = Array.from(rgb).filter((_, i) => i % 3 === 0);
    return Array.from({ length: values.length / width }, (_, y) => values.slice(y * width, (y + 1) * width));
  };

  // torchvision.utils.make_grid(torch.tensor([1, 2, 3]).reshape(3, 1, 1, 1).repeat(1, 3, 1, 1), nrow=2)
  it('pads as torchvision does and leaves missing places black', () => {
    expect(red(makeGrid([tile(1), tile(2), tile(3)], 1, 1, 2))).toEqual([
      [0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 1, 0, 0, 2, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 3, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0],
    ]);
  });

  it('leaves a single image as it is, and refuses none', () => {
    expect(makeGrid([tile(7)], 1, 1, 2)).toEqual({ rgb: tile(7), height: 1, width: 1 });
    expect(() => makeGrid([], 1, 1, 2)).toThrow('Expected at least one image for a grid but received none');
  });
});

// matplotlib: 255 * numpy.array(matplotlib.colormaps['viridis'].colors)[i]
it.each([
  [0, [68.1, 1.2, 84.0]],
  [128, [32.5, 144.6, 140.4]],
  [255, [253.3, 231.1, 36.7]],
])('viridis at %i', (index, expected) => {
  for (const [c, value] of expected.entries())
    expect(Math.abs(VIRIDIS_LUT[3 * index + c]! - value)).toBeLessThanOrEqual(2);
});

it('makes a curve of every number in nested scores, and none of what is missing or text', () => {
  const best = { threshold: '0.45', dice: 0.5 };
  const scores = { auroc: 0.9, f1: null, best, seg: { iou: [0.8, null, 0.6] }, reasons: { f1: 'why' } };
  expect([...scoreCurves(scores)]).toEqual([
    ['val/auroc', 0.9],
    ['val_best/dice', 0.5],
    ['val_seg/iou/0', 0.8],
    ['val_seg/iou/2', 0.6],
  ]);
});

it('calls the curves of several classes by their names', () => {
  const classes = [
    { name: 'cat', auroc: 0.9, best: { dice: 0.5 } },
    { name: 'dog', auroc: null },
  ];
  expect([...scoreCurves({ seg: { iou: [0.8, 0.7, 0.6] }, classes })]).toEqual([
    ['val_seg/iou/background', 0.8],
    ['val_seg/iou/cat', 0.7],
    ['val_seg/iou/dog', 0.6],
    ['val_classes/cat/auroc', 0.9],
    ['val_classes/cat/best/dice', 0.5],
  ]);
});

describe('the folder of a run', () => {
  it('is called by its time; a second one in the same minute gets a number', async () => {
    const folder = mkdtempSync(join(root, 'tb-'));
    const boards = [1, 2, 3].map(() => new Board(folder, 'a: 1', { iteration: 0 }));
    for (const board of boards) await board.close();
    expect(new Set(boards.map(({ name }) => name)).size).toBe(3);
    for (const { name } of boards) expect(name).toMatch(/^\d{4}(-\d\d){4}(-\d)?$/);
  });

  it('stays when a run goes on, and is a new one where the earlier is not there', async () => {
    const folder = mkdtempSync(join(root, 'tb-'));
    mkdirSync(join(folder, 'earlier'));
    const writer = new EventWriter(join(folder, 'earlier'));
    for (const step of [4, 5]) writer.write(step, [{ kind: 'scalar', tag: 'train/lr', value: step }]);
    writer.close();
    const same = new Board(folder, 'a: 1', { iteration: 4, board: 'earlier' });
    const other = new Board(folder, 'a: 1', { iteration: 4, board: 'gone' });
    for (const board of [same, other]) await board.close();
    expect(same.name).toBe('earlier');
    expect(readRun(join(folder, 'earlier')).map(({ step, values }) => [step, values[0]!.tag])).toEqual([
      [4, 'train/lr'],
      [4, 'config'],
    ]);
    expect(other.name).not.toBe('gone');
  });
});
