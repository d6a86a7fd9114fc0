/** VOC through the compiled commands: several classes in an image, images of several sizes, all phases, maps, bad data. */
import { rmSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { NpyArray } from '../../src/io/npy.js';
import { readNpyDict } from '../../src/io/npy-dict.js';
import { type Picture, writeVoc } from '../unit/voc-folders.js';
import { Workplace } from './workplace.js';

const TRAIN: Picture[] = Array.from({ length: 6 }, (_, i) => ({
  name: `2007_00000${i}`,
  classes: i % 2 === 0 ? [1 + (i % 3)] : [1, 1 + (i % 3)].filter((c, k, all) => all.indexOf(c) === k),
  height: 72 + 8 * (i % 3),
}));
const VAL: Picture[] = [
  { name: '2008_000001', classes: [1, 3] },
  { name: '2008_000002', classes: [2], height: 88, width: 100 },
];
const SETTINGS = {
  'dataset.name': 'voc',
  'dataset.root_dir': 'VOC2012',
  'dataset.name_list_dir': 'VOC2012/lists',
  'dataset.slice_split': undefined,
  'dataset.num_classes': 4,
};

async function workplace(): Promise<Workplace> {
  const place = new Workplace();
  await writeVoc(place.path('VOC2012'), { train: TRAIN, val: VAL });
  return place;
}
const logOf = (place: Workplace) =>
  place.read('work', place.files('work').find((file) => file.endsWith('.log'))!).toString('utf8');

describe('a VOC run', () => {
  let place: Workplace;
  beforeAll(async () => {
    place = await workplace();
    const { code, stderr } = await place.train('--config', place.config(SETTINGS));
    expect(code, stderr).toBe(0);
  }, 240_000);

  it('goes through all phases with finite losses', () => {
    const steps = place.metrics().filter(({ kind }) => kind === 'train');
    expect(steps.map(({ phase }) => phase)).toEqual([
      'cls',
      'cls',
      'cls',
      'cam',
      'cam',
      'affinity',
      'affinity',
      'affinity',
    ]);
    expect(steps.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  });

  it('scores images of different sizes, and leaves nothing out', () => {
    const summary = place.json('work', 'summary.json');
    expect(summary).toMatchObject({ dataset: 'voc', images: 2, leftOut: { samples: 0, reasons: {} } });
    expect(summary.segDice).toEqual(expect.any(Number));
  });

  it('exports a map of each image under its name, with a plane for each class that it has', () => {
    const dict = readNpyDict(place.path('work', 'cam_npy', '2008_000001.npy'));
    expect([...dict.keys()]).toEqual(expect.arrayContaining(['cam', 'cls_label']));
    expect(place.files('work', 'cam_npy').filter((file) => file.endsWith('.npy'))).toEqual([
      '2008_000001.npy',
      '2008_000002.npy',
    ]);
    expect(dict.get('cls_label')).toMatchObject({ data: Uint8Array.of(1, 0, 1) });
    const maps = place.files('work', 'attention_maps').filter((file) => file.endsWith('.png'));
    for (const name of ['2008_000001', '2008_000002'])
      expect(maps.some((file) => file.startsWith(`${name}_`))).toBe(true);
    // Three of VOC's twenty classes here: they have numbers, not names.
    const stems = maps.map((file) => file.replace(/_\d\.\d{3}/, ''));
    expect(stems.sort()).toEqual([
      '2008_000001.png',
      '2008_000001_class_1.png',
      '2008_000001_class_3.png',
      '2008_000002.png',
      '2008_000002_class_2.png',
    ]);
    const [whole, planes] = ['cam_raw', 'class_cams'].map((key) => dict.get(key) as NpyArray);
    expect(dict.get('classes')).toMatchObject({ data: Uint8Array.of(1, 3) });
    expect(planes!.shape).toEqual([2, ...whole!.shape]);
    const [first, second] = [0, 1].map((i) => (planes!.data as Float32Array).slice(i * whole!.data.length));
    expect(whole!.data).toEqual(
      (whole!.data as Float32Array).map((_, i) => Math.max(first![i]!, second![i]!)),
    );
  });

  it('finds all maps of an image done, and leaves none of other weights', async () => {
    const genAttn = (...args: string[]) => place.genAttn('--config', 'tiny.yaml', ...args);
    expect((await genAttn()).stderr).toContain('Wrote 0 maps');
    const { bestIteration } = place.json('work', 'summary.json');
    const other = `work/checkpoints/wetr_iter_${bestIteration === 4 ? 8 : 4}.pth`;
    expect((await genAttn('--checkpoint', other)).stderr).toContain('Wrote 2 maps');
    expect(place.files('work', 'attention_maps').filter((file) => file.endsWith('.png'))).toHaveLength(5);
  });
});

describe('bad VOC data', () => {
  it('stops before anything is written where names show it', async () => {
    const place = await workplace();
    rmSync(place.path('VOC2012/JPEGImages/2007_000003.jpg'));
    const { code, stderr } = await place.train('--config', place.config(SETTINGS));
    expect(code).toBe(2);
    expect(stderr).toMatch(/1 of 6 are at fault:\n {2}there is no image .*2007_000003\.jpg/);
    expect(place.files('work')).toEqual([]);
  });

  it('is left out, counted and told at the end where the configuration says so, also over a resume', async () => {
    const place = await workplace();
    rmSync(place.path('VOC2012/JPEGImages/2007_000003.jpg'));
    writeFileSync(place.path('VOC2012/JPEGImages/2007_000001.jpg'), 'no picture');
    rmSync(place.path('VOC2012/SegmentationClassAug/2008_000002.png'));
    const settings = { ...SETTINGS, 'dataset.bad_data': 'skip' };
    const whole = await place.train('--config', place.config(settings));
    expect(whole.code, whole.stderr).toBe(0);
    const { leftOut } = place.json('work', 'summary.json') as {
      leftOut: { samples: number; reasons: Record<string, string> };
    };
    expect(leftOut.samples).toBe(3);
    expect(Object.keys(leftOut.reasons).sort()).toEqual(['2007_000001', '2007_000003', '2008_000002']);
    expect(leftOut.reasons['2007_000001']).toMatch(
      /2007_000001\.jpg but received one that cannot be decoded/,
    );
    expect(logOf(place)).toMatch(/Left out for faults of their files: 3 samples/);

    const parts = { ...settings, 'work_dir.dir': 'parts' };
    const first = await place.train('--config', place.config({ ...parts, 'train.max_iters': 4 }, 'first'));
    expect(first.code, first.stderr).toBe(0);
    // The rate's decay depends on the end: only names and counts are compared.
    const second = await place.train('--config', place.config(parts, 'second'), '--resume');
    expect(second.code, second.stderr).toBe(0);
    expect(place.json('parts', 'summary.json').leftOut).toEqual(leftOut);
  });
});
