/** Crops and slices of any size that the network can take. */
import { mkdirSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { type NpyArray, writeNpy } from '../../src/io/npy.js';
import { readNpyDict } from '../../src/io/npy-dict.js';
import { hashSeed, Random } from '../../src/loading/random.js';
import { Workplace } from './workplace.js';

/** Noise, brighter in a square where the label is 1; the square as its mask. */
function writeSlice(place: Workplace, name: string, height: number, width: number): void {
  const random = new Random(hashSeed(name));
  const label = Number(name.at(-1));
  const inside = (i: number) =>
    Math.floor(i / width) >= height / 3 &&
    Math.floor(i / width) < height / 2 &&
    i % width >= width / 3 &&
    i % width < width / 2;
  const pixels = Array.from({ length: height * width }, (_, i) => (inside(i) ? label : 0));
  const uint8 = (data: number[]): NpyArray => ({
    dtype: 'uint8',
    shape: [height, width],
    data: Uint8Array.from(data),
  });
  for (const folder of ['imageSlice', 'masks']) mkdirSync(place.path('data', folder), { recursive: true });
  writeNpy(
    place.path('data', 'imageSlice', `${name}.npy`),
    uint8(pixels.map((p) => 100 * p + random.below(100))),
  );
  writeNpy(place.path('data', 'masks', `${name}.npy`), uint8(pixels));
}

const finite = (place: Workplace) => {
  const lines = place.metrics().filter(({ kind }) => kind === 'train');
  expect(lines.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['cls', 'cam', 'affinity']));
  for (const { loss, affLoss, segLoss } of lines)
    for (const value of [loss, affLoss, segLoss]) expect(value).toEqual(expect.any(Number));
};

describe('crops', () => {
  it.each([
    { crop: 112, size: 64, why: 'which crashes in the original, from smaller slices' },
    { crop: 65, size: 96, why: 'odd, from larger slices' },
    { crop: 64, size: 150, why: 'the smallest, from slices of more than twice the side' },
  ])('crop $crop, $why', async ({ crop, size }) => {
    const place = new Workplace().phantom({ size });
    const ended = await place.train('--config', place.config(), '--crop_size', String(crop));
    expect(ended.code, ended.stderr).toBe(0);
    finite(place);
    const map = readNpyDict(place.path('work/cam_npy/LASC_000_00_1.npy')).get('cam') as NpyArray;
    expect(map.shape).toEqual([size, size]);
  });
});

describe('slices of different sizes', () => {
  const SIZES = [
    [64, 64],
    [64, 64],
    [80, 101],
    [101, 80],
    [58, 200],
    [97, 131],
  ] as [number, number][];

  it('train, validate in batches of equal size, and are exported at their own size', async () => {
    const place = new Workplace();
    const names = Array.from({ length: 12 }, (_, i) => `S_${String(i).padStart(2, '0')}_${i % 2}`);
    for (const [i, name] of names.entries()) writeSlice(place, name, ...SIZES[i % 6]!);
    const ended = await place.train(
      '--config',
      place.config({ 'val.batch_size': 4, 'train.num_workers': 1 }),
    );
    expect(ended.code, ended.stderr).toBe(0);
    finite(place);
    expect(place.json('work', 'summary.json')).toMatchObject({
      images: 6,
      reasons: {},
      auroc: expect.any(Number),
    });
    for (const [i, name] of names.slice(0, 6).entries()) {
      const dict = readNpyDict(place.path('work/cam_npy', `${name}.npy`));
      expect((dict.get('cam_raw') as NpyArray).shape, name).toEqual([...SIZES[i]!]);
      const score = (dict.get('pred_score') as number).toFixed(3);
      const { height, width } = await sharp(
        place.path('work/attention_maps', `${name}_${score}.png`),
      ).metadata();
      expect([height, width], name).toEqual([...SIZES[i]!]);
    }
  });

  it('one at a time, grey and in colour, train through every phase', async () => {
    const place = new Workplace();
    const names = Array.from({ length: 6 }, (_, i) => `S_${i}_${i % 2}`);
    for (const [i, name] of names.entries()) {
      const [height, width] = SIZES[i]!;
      writeSlice(place, name, height, width);
      if (i % 3 > 0) continue;
      const shape = [height, width, 3];
      const data = Uint8Array.from({ length: height * width * 3 }, (_, p) => (p * 7) % 251);
      writeNpy(place.path('data', 'imageSlice', `${name}.npy`), { dtype: 'uint8', shape, data });
    }
    const config = place.config({ 'dataset.slice_split': [0, 4], 'train.samples_per_gpu': 1 });
    const ended = await place.train('--config', config);
    expect(ended.code, ended.stderr).toBe(0);
    finite(place);
    expect(place.files('work', 'attention_maps')).toHaveLength(4);
  });

  it('too small for the smallest scale: the slice is named, training so far is kept', async () => {
    const place = new Workplace().phantom();
    writeSlice(place, 'LASC_000_00b_0', 57, 90); // the second: the first is looked at before training
    const config = place.config({ 'dataset.slice_split': [0, 6], 'train.eval_iters': 2 });
    const { code, stderr } = await place.train('--config', config);
    expect(code).toBe(1);
    expect(stderr).toContain(
      'Error: Expected at least 58 pixels a side, which leave 29 at scale 0.5, for image LASC_000_00b_0 but received 57 x 90. ' +
        'Enlarge the images, or set cam.scales to larger factors.\n' +
        'Training stopped after iteration 2, which work/checkpoints/last.pth holds: mend this, then go on with --resume.',
    );
    const log = place.files('work').find((name) => name.endsWith('.log'))!;
    expect(place.read('work', log).toString()).toContain('ERROR: Error: Expected at least 58 pixels');
    const mended = await place.train('--config', config, '--resume', '--set', 'cam.scales=[1, 1.5]');
    expect(mended.code, mended.stderr).toBe(0);
    expect(mended.stderr).toContain('cam.scales: [1,0.5,1.5] before, now [1,1.5]');
    expect(place.files('work', 'attention_maps')).toHaveLength(6);
    const gen = await place.genAttn('--config', config);
    expect(gen.code).toBe(2);
    expect(gen.stderr).toContain('for image LASC_000_00b_0 but received 57 x 90');
  });
});
