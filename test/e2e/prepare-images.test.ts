/** VOC and COCO as their users get them: prepared by the command, then trained on by the command that it prints. */
import { describe, expect, it } from 'vitest';
import { cocoJson, VOC_IMAGES, writeCocoKit, writeVocKit } from '../unit/image-kits.js';
import { Workplace } from './workplace.js';

/** One iteration of each phase, and a validation. */
const SHORT = {
  'dataset.slice_split': undefined,
  'train.max_iters': 3,
  'train.cam_iters': 1,
  'train.aff_label_switch_iter': 2,
  'train.eval_iters': 3,
  'scheduler.warmup_iter': 1,
};

/** The `--set key=value` of the printed command as configuration. */
function printedSettings(stdout: string): Record<string, string> {
  const pairs = [...stdout.matchAll(/--set "?([\w.]+)=([^"\s]+)/g)].map(([, key, value]) => [key!, value!]);
  return Object.fromEntries(pairs);
}

async function trainOn(place: Workplace, name: string, numClasses: number, settings: Record<string, string>) {
  const { 'dataset.num_classes': _, ...rest } = settings;
  const config = place.config({
    ...SHORT,
    'dataset.name': name,
    'dataset.num_classes': numClasses,
    'train.split': 'train',
    'val.split': 'val',
    ...rest,
  });
  const { code, stderr } = await place.train('--config', config);
  expect(code, stderr).toBe(0);
  expect(place.json('work', 'summary.json')).toHaveProperty('bestIteration', 3);
}

describe('prepare voc', () => {
  it.each([true, false])('leads to training (SegmentationClassAug there: %s)', async (augmented) => {
    const place = new Workplace();
    await writeVocKit(place.root, augmented);
    const { code, stdout } = await place.start('prepare.js', [
      'voc',
      'VOCdevkit/VOC2012',
      '--out',
      'data/voc',
    ]).ended;
    expect(code).toBe(0);
    const settings = printedSettings(stdout);
    expect(settings['dataset.name_list_dir']).toBe('data/voc');
    if (augmented) settings['train.split'] = 'train_aug';
    await trainOn(place, 'voc', 21, settings);
  });

  it('ends with 2 on faults, having written nothing', async () => {
    const place = new Workplace();
    const images = VOC_IMAGES.map((image, i) => (i === 0 ? { ...image, objects: ['unicorn'] } : image));
    await writeVocKit(place.root, true, images);
    const { code, stdout, stderr } = await place.start('prepare.js', [
      'voc',
      'VOCdevkit/VOC2012',
      '--out',
      'data/voc',
    ]).ended;
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain("1 objects of unknown classes: 'unicorn'");
    expect(place.files('data')).toEqual([]);
  });
});

describe('prepare coco', () => {
  it('leads to training', async () => {
    const place = new Workplace();
    for (const split of ['train', 'val'] as const) await writeCocoKit(place.root, split);
    const { code, stdout } = await place.start('prepare.js', [
      'coco',
      '--images',
      'train2014',
      'val2014',
      '--annotations',
      'instances_train2014.json',
      'instances_val2014.json',
      '--out',
      'data/coco',
    ]).ended;
    expect(code).toBe(0);
    const settings = printedSettings(stdout);
    expect(settings).toMatchObject({ 'dataset.root_dir': 'data/coco', 'dataset.num_classes': '4' });
    await trainOn(place, 'coco', 4, settings);
  });

  it('ends with 2 on annotations of unknown images', async () => {
    const place = new Workplace();
    const json = cocoJson('train');
    await writeCocoKit(place.root, 'train', { ...json, images: json.images.slice(1) });
    const { code, stderr } = await place.start('prepare.js', [
      'coco',
      '--images',
      'train2014',
      '--annotations',
      'instances_train2014.json',
      '--out',
      'data/coco',
    ]).ended;
    expect(code).toBe(2);
    expect(stderr).toContain('1 annotations of unknown images: annotation 4 of image 30');
    expect(place.files('data')).toEqual([]);
  });
});
