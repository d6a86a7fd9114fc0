/** The real tensorboard package reads what we write, and torch.utils.tensorboard writes what we read. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { EventWriter, readRun } from '../../src/io/tensorboard/event-file.js';
import { findPython, runPython } from '../oracles/python.js';
import { READ_RUNS } from '../oracles/tensorboard.js';

const root = mkdtempSync(join(tmpdir(), 'tensorboard-'));
afterAll(() => rmSync(root, { recursive: true }));

const python = findPython(['tensorboard']);
const torch = findPython(['tensorboard', 'torch']);

describe.skipIf(!python)('tensorboard reads', () => {
  it('scalars, images and texts, and drops the steps that a resumed run does again', async () => {
    const folder = join(root, 'ours');
    const png = await sharp({ create: { width: 5, height: 3, channels: 3, background: '#ff8000' } })
      .png()
      .toBuffer();
    const first = new EventWriter(folder);
    for (const step of [1, 2, 3]) first.write(step, [{ kind: 'scalar', tag: 'train/lr', value: step / 8 }]);
    first.close();
    const second = new EventWriter(folder, 3);
    second.write(3, [
      { kind: 'scalar', tag: 'train/lr', value: 0.5 },
      { kind: 'image', tag: 'cam/valid_cams', height: 3, width: 5, png },
      { kind: 'text', tag: 'config', text: 'größe: 3' },
    ]);
    second.close();
    expect(JSON.parse(runPython(python!, READ_RUNS, [root]))).toEqual({
      ours: {
        scalars: {
          'train/lr': [
            [1, 0.125],
            [2, 0.25],
            [3, 0.5],
          ],
        },
        images: { 'cam/valid_cams': [[3, 5, 3, png.toString('base64')]] },
        texts: { 'config/text_summary': [[3, 'größe: 3']] },
      },
    });
  });
});

const WRITE = `
import sys, numpy as np
from torch.utils.tensorboard import SummaryWriter
w = SummaryWriter(sys.argv[1])
w.add_scalar('count/pos_count', 7, 41)
w.add_image('train/images', np.zeros((3, 4, 6), np.uint8), 42)
w.add_text('note', 'hello', 43)
w.add_histogram('h', np.arange(9), 44)
w.close()`;

describe.skipIf(!torch)('we read', () => {
  it("torch.utils.tensorboard's files", async () => {
    const folder = join(root, 'theirs');
    runPython(torch!, WRITE, [folder]);
    const events = readRun(folder);
    const [image] = events[1]!.values;
    expect(events.flatMap(({ step, values }) => values.map((value) => ({ step, ...value })))).toEqual([
      { step: 41, kind: 'scalar', tag: 'count/pos_count', value: 7 },
      { step: 42, kind: 'image', tag: 'train/images', height: 4, width: 6, png: expect.anything() },
      { step: 43, kind: 'text', tag: 'note', text: 'hello' },
    ]);
    expect(await sharp((image as { png: Uint8Array }).png).metadata()).toMatchObject({ width: 6, height: 4 });
  });
});
