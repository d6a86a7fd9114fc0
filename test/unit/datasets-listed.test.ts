import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import type { Config } from '../../src/config/schema.js';
import { getDataset } from '../../src/datasets/registry.js';
import { readLabelPng, writeLabelPng } from '../../src/io/label-png.js';
import { writeNpyDict } from '../../src/io/npy-dict.js';
import type { Batch } from '../../src/loading/batch.js';
import { createEvalLoader, createTrainLoader, type EvalLoader } from '../../src/loading/loader.js';
import { checkData } from '../../src/training/check-data.js';
import { configFor, drawPicture, newFolder, type Picture, writeLists, writeVoc } from './voc-folders.js';

const TRAIN: Picture[] = [
  { name: '2007_000032', classes: [1] },
  { name: '2007_000039', classes: [2, 3] },
  { name: '2007_000063', classes: [1, 3], height: 96, width: 72 },
  { name: '2007_000068', classes: [2] },
  { name: '2007_000121', classes: [3], height: 64, width: 110 },
];
const VAL: Picture[] = [
  { name: '2007_000033', classes: [1, 2] },
  { name: '2007_000042', classes: [3], height: 80, width: 120 },
  { name: '2007_000061', classes: [1] },
];

async function voc(): Promise<string> {
  const root = newFolder();
  await writeVoc(root, { train: TRAIN, val: VAL });
  return root;
}
const open = ({ dataset }: Config, split: string) => getDataset(dataset.name).open(dataset, split, () => {});
const jpeg = (root: string, name: string) => join(root, 'JPEGImages', `${name}.jpg`);
const mask = (root: string, name: string) => join(root, 'SegmentationClassAug', `${name}.png`);
const SKIP = { 'dataset.bad_data': 'skip' };

async function drain(loader: EvalLoader): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let batch = await loader.next(); batch; batch = await loader.next()) batches.push(batch);
  return batches;
}

describe('VOC', () => {
  it('gives images, multi-hot labels and masks in the order of its list', async () => {
    const root = await voc();
    const dataset = open(configFor('voc', root), 'train');
    expect(dataset.names).toEqual(TRAIN.map(({ name }) => name));
    expect([...dataset.label(1)]).toEqual([0, 1, 1]);
    const sample = await dataset.get(2);
    expect(sample.name).toBe('2007_000063');
    expect([sample.image.height, sample.image.width, sample.image.data.length]).toEqual([
      96,
      72,
      3 * 96 * 72,
    ]);
    expect(sample.mask).toEqual(readLabelPng(mask(root, '2007_000063')));
    expect(new Set(sample.mask!.data)).toEqual(new Set([0, 1, 3, 255]));
  });

  it('validates images of different sizes, one in a batch', async () => {
    const loader = createEvalLoader(configFor('voc', await voc()), 'val', { numWorkers: 0 });
    const batches = await drain(loader);
    expect(batches.map(({ names, height, width }) => [names[0], height, width])).toEqual([
      ['2007_000033', 72, 96],
      ['2007_000042', 80, 120],
      ['2007_000061', 72, 96],
    ]);
    expect([...batches[0]!.labels]).toEqual([1, 1, 0]);
    expect(batches[1]!.masks![0]!.height).toBe(80);
  });

  it('has no masks where their folder is missing, and says nothing', async () => {
    const root = await voc();
    rmSync(join(root, 'SegmentationClassAug'), { recursive: true });
    const dataset = open(configFor('voc', root), 'val');
    expect(dataset.hasMasks).toBe(false);
    expect(dataset.missingMasks).toEqual([]);
  });

  it('finds images in JPEG and in PNG', async () => {
    const root = await voc();
    const file = jpeg(root, TRAIN[0]!.name);
    await sharp(file).png().toFile(file.replace('.jpg', '.png'));
    rmSync(file);
    expect((await open(configFor('voc', root), 'train').readImage(0)).width).toBe(96);
  });

  it('takes the first word of a line, whatever the line ends and blank lines', async () => {
    const root = await voc();
    writeFileSync(join(root, 'lists/train.txt'), '\ufeff2007_000032 -1\r\n\r\n  2007_000068  1\r\n');
    expect(open(configFor('voc', root), 'train').names).toEqual(['2007_000032', '2007_000068']);
  });

  it('refuses keys that only slices have', async () => {
    const root = await voc();
    for (const [key, value] of [
      ['dataset.intensity', 'minmax'],
      ['dataset.slice_split', [0, 2]],
      ['dataset.split.by', 'patient'],
    ] as const) {
      expect(() => open(configFor('voc', root, { [key]: value }), 'train'), key).toThrow(
        /Expected no dataset\.(intensity|slice_split|split) for dataset 'voc'/,
      );
    }
  });
});

describe('COCO', () => {
  it('reads images and masks in the folder that the name of the split tells', async () => {
    const root = newFolder();
    const lists = { train: [TRAIN[0]!, TRAIN[1]!], val: [VAL[0]!] };
    for (const part of ['train', 'val'] as const) {
      for (const folder of ['JPEGImages', 'SegmentationClass'])
        mkdirSync(join(root, folder, part), { recursive: true });
      for (const picture of lists[part]) {
        const at = (folder: string, end: string) => join(root, folder, part, picture.name + end);
        await drawPicture(at('JPEGImages', '.jpg'), at('SegmentationClass', '.png'), picture);
      }
    }
    writeLists(join(root, 'lists'), { ...lists, val_part: [VAL[0]!] }, 4);
    const config = configFor('coco', root);
    expect((await open(config, 'train').get(1)).mask!.data).toContain(3);
    expect((await open(config, 'val_part').get(0)).mask!.data).toContain(2);
  });
});

describe('bad data that names show', () => {
  it.each([
    [
      'an image that does not exist',
      /there is no image .*2007_000039\.jpg/,
      (root: string) => rmSync(jpeg(root, '2007_000039')),
    ],
    [
      'a name without a label',
      /cls_labels_onehot\.npy has no label for 2007_000039/,
      (root: string) =>
        writeNpyDict(join(root, 'lists/cls_labels_onehot.npy'), {
          '2007_000032': { dtype: 'float32', shape: [3], data: Float32Array.of(1, 0, 0) },
        }),
    ],
    [
      'a name that stands twice',
      /2007_000039 stands in .*train\.txt more than once/,
      (root: string) => appendFileSync(join(root, 'lists/train.txt'), '2007_000039\n'),
    ],
  ])('%s stops, or is left out and told', async (_, message, spoil) => {
    const root = await voc();
    writeFileSync(join(root, 'lists/train.txt'), '2007_000032\n2007_000039\n');
    spoil(root);
    expect(() => open(configFor('voc', root), 'train')).toThrow(UsageError);
    expect(() => open(configFor('voc', root), 'train')).toThrow(message);
    const dataset = open(configFor('voc', root, SKIP), 'train');
    expect(dataset.names).toContain('2007_000032');
    expect(dataset.leftOut).toHaveLength(1);
    expect(dataset.leftOut![0]!.message).toMatch(message);
  });

  it('labels of another length, or with other values, are told with both numbers', async () => {
    const root = await voc();
    expect(() => open(configFor('voc', root, { 'dataset.num_classes': 21 }), 'train')).toThrow(
      /5 of 5 are at fault:\n {2}the label of 2007_000032 in .* has 3 entries, not dataset\.num_classes - 1 \(20\)/,
    );
    const half = { dtype: 'float32' as const, shape: [3], data: Float32Array.of(0, 0.5, 1) };
    writeNpyDict(join(root, 'lists/cls_labels_onehot.npy'), { '2007_000032': half });
    expect(() => open(configFor('voc', root, SKIP), 'train')).toThrow(/has values other than 0 and 1/);
  });

  it('lists and label files that are missing, empty or of another kind are named, with what makes them', async () => {
    const root = await voc();
    const config = configFor('voc', root);
    expect(() => open(config, 'train_aug')).toThrow(
      /train_aug\.txt: no such file.*lists the images of split 'train_aug'.*prepare\.js voc/,
    );
    writeFileSync(join(root, 'lists/train.txt'), '\n \n');
    expect(() => open(config, 'train')).toThrow(
      /Expected names, one a line, for .*train\.txt but received none/,
    );
    writeFileSync(join(root, 'lists/cls_labels_onehot.npy'), 'nothing');
    expect(() => open(config, 'val')).toThrow(/cls_labels_onehot\.npy.*prepare\.js voc/);
    rmSync(join(root, 'lists/cls_labels_onehot.npy'));
    expect(() => open(config, 'val')).toThrow(/Cannot read .*cls_labels_onehot\.npy/);
  });

  it('a folder of images that is missing is named', async () => {
    const root = await voc();
    renameSync(join(root, 'JPEGImages'), join(root, 'Images'));
    expect(() => open(configFor('voc', root), 'train')).toThrow(/Cannot read .*JPEGImages: no such file/);
  });

  it('masks that only some images lack stop a validation before training, and no training without them', async () => {
    const root = await voc();
    rmSync(mask(root, '2007_000033'));
    expect(() => checkData(configFor('voc', root))).toThrow(
      /1 of 3 lack theirs:\n {2}there is no mask .*2007_000033\.png/,
    );
    expect(() => checkData(configFor('voc', root, { 'val.cam': false }))).not.toThrow();
    const faults: string[] = [];
    const loader = createEvalLoader(configFor('voc', root, SKIP), 'val', {
      numWorkers: 0,
      onFault: ({ name }) => faults.push(name),
    });
    expect((await drain(loader)).map(({ masks }) => masks![0] !== undefined)).toEqual([false, true, true]);
    expect(faults).toEqual(['2007_000033']);
    rmSync(mask(root, '2007_000032'));
    writeLabelPng(mask(root, '2007_000033'), new Uint8Array(72 * 96), 72, 96);
    expect(() => checkData(configFor('voc', root))).not.toThrow();
  });
});

describe('bad data that reading shows', () => {
  const spoilMask = (root: string, name: string, label: number, height = 72, width = 96) =>
    writeLabelPng(mask(root, name), new Uint8Array(height * width).fill(label), height, width);

  it.each([
    [
      'a class beyond num_classes',
      /Expected class numbers 0 to 3.*2007_000033\.png but received 7/s,
      (root: string) => spoilMask(root, '2007_000033', 7),
    ],
    [
      'a mask of another size',
      /Expected a mask of 72 x 96 pixels.*2007_000033\.png but received 10 x 10/,
      (root: string) => spoilMask(root, '2007_000033', 0, 10, 10),
    ],
    [
      'a wrong palette',
      /2007_000033\.png but received a wrong palette: colour \(9, 9, 9\)/,
      (root: string) =>
        sharp({ create: { width: 96, height: 72, channels: 3, background: '#090909' } })
          .png()
          .toFile(mask(root, '2007_000033')),
    ],
  ])('%s stops, or costs that mask alone', async (_, message, spoil) => {
    const root = await voc();
    await spoil(root);
    const strict = createEvalLoader(configFor('voc', root), 'val', { numWorkers: 0 });
    await expect(strict.next()).rejects.toThrow(message);
    const faults: string[] = [];
    const loader = createEvalLoader(configFor('voc', root, SKIP), 'val', {
      numWorkers: 0,
      onFault: (f) => faults.push(f.message),
    });
    expect((await drain(loader)).map(({ masks }) => masks![0] !== undefined)).toEqual([false, true, true]);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(message);
  });

  it('an evaluation goes on after images that cannot be decoded, also where a whole batch is lost', async () => {
    const root = await voc();
    for (const name of ['2007_000033', '2007_000061']) writeFileSync(jpeg(root, name), 'no picture');
    const loader = createEvalLoader(configFor('voc', root, SKIP), 'val', {
      numWorkers: 0,
      onFault: () => {},
    });
    expect((await drain(loader)).map(({ names }) => names)).toEqual([['2007_000042']]);
  });

  const stream = async (
    config: Config,
    numWorkers: number,
    count: number,
    start?: { epoch: number; cursor: number },
  ) => {
    const faults: string[] = [];
    const loader = createTrainLoader(config, {
      numWorkers,
      startPosition: start,
      onFault: ({ name }) => faults.push(name),
    });
    const batches: Batch[] = [];
    const positions = [];
    for (let i = 0; i < count; i++) {
      batches.push(await loader.next());
      positions.push(loader.position());
    }
    await loader.close();
    return { batches, positions, faults };
  };

  it('training draws another image: the same with any number of workers, and after a resume', async () => {
    const root = await voc();
    for (const name of ['2007_000039', '2007_000121']) writeFileSync(jpeg(root, name), Buffer.alloc(0));
    const config = configFor('voc', root, { ...SKIP, 'train.samples_per_gpu': 2 });
    const alone = await stream(config, 0, 8);
    expect(alone.batches.every(({ names }) => names.length === 2)).toBe(true);
    const names = alone.batches.flatMap((batch) => batch.names);
    expect(names).not.toContain('2007_000039');
    expect(new Set(alone.faults)).toEqual(new Set(['2007_000039', '2007_000121']));
    expect(alone.batches[0]!.labels).toHaveLength(6);
    for (const workers of [1, 3]) expect(await stream(config, workers, 8)).toEqual(alone);
    const later = await stream(config, 2, 5, alone.positions[2]);
    expect(later.batches).toEqual(alone.batches.slice(3));
  });

  it('training stops at the first one by default, and names the file', async () => {
    const root = await voc();
    for (const { name } of TRAIN) writeFileSync(jpeg(root, name), Buffer.alloc(0));
    await expect(stream(configFor('voc', root), 2, 1)).rejects.toThrow(
      /JPEGImages.2007_\d+\.jpg but received an empty file/,
    );
    await expect(stream(configFor('voc', root, SKIP), 1, 1)).rejects.toThrow(
      /Expected a readable sample among 100/,
    );
  });
});

const LABELME = '/usr/share/doc/labelme-examples/examples/semantic_segmentation/data_dataset_voc';
const labelme = process.env.AFA_LABELME ?? LABELME;
if (!existsSync(labelme))
  console.info(`Skipped: no VOC pictures at ${LABELME} (Debian's labelme-examples), nor at $AFA_LABELME.`);

describe("pictures of VOC 2011 with masks, from Debian's labelme-examples", () => {
  it.skipIf(!existsSync(labelme))('read as VOC', async () => {
    const root = newFolder();
    const names = ['2011_000003', '2011_000006', '2011_000025'];
    writeLists(root, { val: names.map((name) => ({ name, classes: [15] })) }, 21);
    const settings = {
      'dataset.name_list_dir': root,
      'dataset.num_classes': 21,
      'dataset.masks_dir': join(labelme, 'SegmentationClassPNG'),
    };
    const dataset = open(configFor('voc', labelme, settings), 'val');
    for (const [i, name] of names.entries()) {
      const { image, mask } = await dataset.get(i);
      expect(image.channels, name).toBe(3);
      expect(mask!.data, name).toHaveLength(image.height * image.width);
      expect(new Set(mask!.data).size, name).toBeGreaterThan(2);
    }
  });
});
