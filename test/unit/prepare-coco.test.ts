import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readLabelPng } from '../../src/io/label-png.js';
import type { NpyArray } from '../../src/io/npy.js';
import { readNpyDict } from '../../src/io/npy-dict.js';
import { prepare } from '../../src/prepare/cli.js';
import { prepareCocoDataset } from '../../src/prepare/coco-dataset.js';
import { visitJsonSections } from '../../src/prepare/json-sections.js';
import { type CocoJson, cocoJson, rectangle, writeCocoKit, writeJpeg } from './image-kits.js';
import { failure, folders, silentProgress } from './prepare-command.js';

const { work, folder } = folders();
silentProgress();

/** A training split, changed by `change`; its arguments and output folder. */
async function kit(change: (json: CocoJson) => unknown = () => {}) {
  const base = folder();
  const json = cocoJson('train');
  change(json);
  const args = await writeCocoKit(base, 'train', json);
  return { base, out: join(base, 'data'), argv: ['coco', ...args, '--out', join(base, 'data')] };
}

const NAME = (id: number, split = 'train') => `COCO_${split}2014_${String(id).padStart(12, '0')}`;
const list = (out: string, split: string) => readFileSync(join(out, `${split}.txt`), 'utf8').split('\n');
const mask = (out: string, id: number) =>
  readLabelPng(join(out, 'SegmentationClass', 'train', `${NAME(id)}.png`));
const labels = (out: string) =>
  Object.fromEntries(
    [...readNpyDict(join(out, 'cls_labels_onehot.npy'))].map(([name, value]) => [
      name,
      [...((value as NpyArray).data as Float32Array)],
    ]),
  );

describe('prepare coco', () => {
  it('makes masks, lists and labels, and links the images', async () => {
    const { base, out, argv } = await kit();
    const text = await prepare(argv);
    // Images without annotations are in no list; names are sorted, ids become classes in their order.
    expect(list(out, 'train')).toEqual([NAME(9), NAME(25), NAME(30), '']);
    expect(labels(out)).toEqual({ [NAME(9)]: [1, 1, 0], [NAME(25)]: [0, 0, 1], [NAME(30)]: [0, 1, 0] });
    const { data, height, width } = mask(out, 9);
    expect([height, width]).toEqual([66, 70]);
    expect(data.filter((v) => v === 2)).toHaveLength(50);
    expect(data.filter((v) => v === 1)).toHaveLength(1600 - 50);
    expect(data[10 * 70 + 10]).toBe(1);
    expect(data[20 * 70 + 20]).toBe(2);
    for (const [id, value] of [
      [25, 255],
      [30, 2],
    ] as const) {
      expect(mask(out, id).data.every((v, i) => v === (i % 70 < 10 ? value : 0))).toBe(true);
    }
    expect(readdirSync(join(out, 'SegmentationClass', 'train'))).toHaveLength(3);
    const link = join(out, 'JPEGImages', 'train');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(realpathSync(link)).toBe(realpathSync(join(base, 'train2014')));
    expect(text).toContain('3 of 4 images have annotations; 3 masks written');
    expect(text).toContain('needs the val split too');
    expect(JSON.parse(readFileSync(join(out, 'dataset.json'), 'utf8')).categories[1]).toEqual({
      class: 2,
      category_id: 18,
      name: 'dog',
    });
  });

  it('adds a second split to a first, and takes both at once', async () => {
    const { base, out, argv } = await kit();
    await prepare(argv);
    const val = await writeCocoKit(base, 'val');
    const text = await prepare(['coco', ...val, '--out', out]);
    const names = [9, 25, 30].map((id) => NAME(id));
    expect(Object.keys(labels(out))).toEqual([...names, ...[9, 25, 30].map((id) => NAME(id, 'val'))]);
    expect(text).toContain(`node dist/train.js --dataset coco --set dataset.root_dir=${out}`);
    expect(text).toContain('dataset.num_classes=4');

    const both = ['--images', argv[2]!, val[1]!, '--annotations', argv[4]!, val[3]!];
    await prepare(['coco', ...both, '--out', join(base, 'both')]);
    expect(labels(join(base, 'both'))).toEqual(labels(out));
  });

  it('keeps masks that are there, and writes them anew on request', async () => {
    const { out, argv } = await kit();
    await prepare(argv);
    const path = join(out, 'SegmentationClass', 'train', `${NAME(9)}.png`);
    writeFileSync(path, 'kept');
    rmSync(join(out, 'SegmentationClass', 'train', `${NAME(25)}.png`));
    // A run that was stopped has no list yet.
    rmSync(join(out, 'train.txt'));
    expect(await prepare(argv)).toContain('1 masks written, 2 kept');
    expect(readFileSync(path, 'utf8')).toBe('kept');
    expect(await failure(argv)).toMatch(/holds .*train.txt.*--overwrite/);
    expect(await prepare([...argv, '--overwrite'])).toContain('3 masks written');
    expect(mask(out, 9).height).toBe(66);
  });

  it('stops when asked, without lists, and goes on afterwards', async () => {
    const { base, out, argv } = await kit();
    let asked = 0;
    const sources = [{ split: 'train' as const, images: argv[2]!, annotations: argv[4]! }];
    const options = { sources, outDir: out, faults: 'stop' as const, overwrite: false };
    const first = await prepareCocoDataset({ ...options, stopWhen: () => ++asked > 1 });
    expect(first.stopped).toBe(true);
    expect(existsSync(join(out, 'train.txt'))).toBe(false);
    expect(readdirSync(join(out, 'SegmentationClass', 'train'))).toHaveLength(1);
    const second = await prepareCocoDataset(options);
    expect(second.splits.train).toMatchObject({ masks_written: 2, masks_kept: 1, listed: 3 });
    expect(readdirSync(base).sort()).toEqual(['data', 'instances_train2014.json', 'train2014']);
  });

  it('says what keeps it from writing, and what an earlier run left damaged', async () => {
    const { base, out, argv } = await kit();
    const file = join(base, 'file');
    writeFileSync(file, '');
    const elsewhere = [...argv.slice(0, -1), file];
    await expect(prepare(elsewhere)).rejects.toThrow(/Cannot write .*file/);
    await prepare(argv);
    writeFileSync(join(out, 'dataset.json'), '{"splits": ');
    const val = await writeCocoKit(base, 'val');
    expect(await failure(['coco', ...val, '--out', out])).toMatch(/dataset.json but received damaged JSON/);
  });

  it('leaves images that lie in place already where they are', async () => {
    const { base, argv } = await kit();
    const out = join(base, 'MSCOCO');
    const images = join(out, 'JPEGImages', 'train');
    for (const { file_name: file } of cocoJson('train').images)
      await writeJpeg(join(images, file), { width: 70, height: 66 });
    await prepare(['coco', '--images', images, '--annotations', argv[4]!, '--out', out]);
    expect(lstatSync(images).isSymbolicLink()).toBe(false);
    expect(await failure([...argv.slice(0, -1), out, '--overwrite'])).toMatch(
      /JPEGImages\/train to be missing.*received another folder/,
    );
  });
});

describe('faults of annotations', () => {
  const spoil: [string, (json: CocoJson) => unknown, RegExp][] = [
    [
      'an unknown image',
      (json) => Object.assign(json.annotations[2]!, { image_id: 77 }),
      /1 annotations of unknown images: annotation 3 of image 77/,
    ],
    [
      'an unknown category',
      (json) => Object.assign(json.annotations[2]!, { category_id: 3 }),
      /1 annotations of unknown categories: annotation 3 of category 3 \(COCO_train2014_000000000009\)/,
    ],
    [
      'an odd polygon',
      (json) => Object.assign(json.annotations[2]!, { segmentation: [[1, 2, 3, 4, 5, 6, 7]] }),
      /1 malformed segmentations: annotation 3 of COCO_train2014_000000000009: a polygon of 7 numbers/,
    ],
    [
      'a polygon of two corners',
      (json) => Object.assign(json.annotations[2]!, { segmentation: [[1, 2, 3, 4]] }),
      /4 numbers, fewer than 6/,
    ],
    [
      'runs that do not fill the image',
      (json) => Object.assign(json.annotations[2]!, { segmentation: { size: [66, 70], counts: [0, 660] } }),
      /fill 660 of 4620 pixels/,
    ],
    [
      'runs of another size',
      (json) => Object.assign(json.annotations[2]!, { segmentation: { size: [70, 66], counts: [4620] } }),
      /size \[70,66\] in an image of 66 x 70/,
    ],
    [
      'no segmentation',
      (json) => Object.assign(json.annotations[2]!, { segmentation: undefined }),
      /neither polygons nor RLE counts/,
    ],
  ];
  it.each(spoil)('names %s, writes nothing, and skips it on request', async (_, change, message) => {
    const { out, argv } = await kit((json) => change(json));
    const text = await failure(argv);
    expect(text).toMatch(message);
    expect(text).toContain('instances_train2014.json');
    expect(existsSync(out)).toBe(false);
    expect(await prepare([...argv, '--bad_data', 'skip'])).toMatch(message);
    // The person stays; the dog in it is left out of mask and label.
    expect(labels(out)[NAME(9)]).toEqual([1, 0, 0]);
    expect(mask(out, 9).data.filter((v) => v === 1)).toHaveLength(1600);
  });

  const images: [string, (base: string) => unknown, RegExp][] = [
    [
      'a missing image',
      (base) => unlinkSync(join(base, 'train2014', `${NAME(9)}.jpg`)),
      /1 missing images: .*0009.jpg/,
    ],
    [
      'a damaged image',
      (base) => writeFileSync(join(base, 'train2014', `${NAME(9)}.jpg`), 'no'),
      /1 images that cannot be read/,
    ],
    [
      'an image of another size',
      (base) => writeJpeg(join(base, 'train2014', `${NAME(9)}.jpg`), { width: 66, height: 70 }),
      /is 66 x 70, not 70 x 66/,
    ],
  ];
  it.each(images)('names %s, and skips it on request', async (_, change, message) => {
    const { base, out, argv } = await kit();
    await change(base);
    expect(await failure(argv)).toMatch(message);
    expect(await prepare([...argv, '--bad_data', 'skip'])).toMatch(message);
    expect(list(out, 'train')).toEqual([NAME(25), NAME(30), '']);
    expect(Object.keys(labels(out))).toEqual([NAME(25), NAME(30)]);
  });

  it.each([
    ['../x.jpg', /images not named \{name\}.jpg: '..\/x.jpg'/],
    ['a b.jpg', /'a b.jpg'/],
    ['x.png', /'x.png'/],
  ])('refuses the file name %s', async (file, message) => {
    const { argv } = await kit((json) => Object.assign(json.images[3]!, { file_name: file }));
    expect(await failure(argv)).toMatch(message);
  });

  it('names ids and files that occur twice', async () => {
    const { argv } = await kit((json) => {
      json.images.push({ ...json.images[0]!, file_name: 'other.jpg' }, { ...json.images[0]!, id: 99 });
    });
    const text = await failure(argv);
    expect(text).toMatch(/1 images with the id of another: 30 \(other.jpg\)/);
    expect(text).toMatch(/1 images with the file of another: .*0030.jpg \(id 99\)/);
  });
});

describe('files that are not what they should be', () => {
  const write = (text: string) => {
    const path = join(folder(), 'instances_train2014.json');
    writeFileSync(path, text);
    return path;
  };
  const whole = JSON.stringify(cocoJson('train'));
  it.each([
    ['a list', '[{"image_id": 1, "segmentation": {}}]', /received a list/],
    ['no JSON', 'PK\u0003\u0004', /received something outside of braces/],
    ['an empty file', '', /one without lists/],
    ['a cut-off file', whole.slice(0, -300), /cut off: copy or download it again/],
    ['a damaged element', whole.replace('"area":50', '"area":5O'), /damaged element at byte \d+ \(.*\)/],
    [
      'captions',
      JSON.stringify({ ...cocoJson('train'), annotations: [{ id: 1, image_id: 9, caption: 'a dog' }] }),
      /received captions. It is the one named instances_/,
    ],
    [
      'no annotations',
      JSON.stringify({ images: [], categories: [] }),
      /no annotations \(its lists are images, categories\)/,
    ],
    ['no categories', JSON.stringify({ ...cocoJson('train'), categories: [] }), /0 categories/],
    [
      'a category twice',
      JSON.stringify({
        ...cocoJson('train'),
        categories: [
          { id: 1, name: 'a' },
          { id: 1, name: 'b' },
        ],
      }),
      /two categories of id 1/,
    ],
    [
      'an image without a size',
      JSON.stringify({ ...cocoJson('train'), images: [{ id: 1, file_name: 'a.jpg' }] }),
      /without id, file_name, height or width/,
    ],
  ])('refuses %s', async (_, text, message) => {
    const path = write(text);
    expect(
      await failure(['coco', '--images', work, '--annotations', path, '--out', join(work, 'x')]),
    ).toMatch(message);
  });

  it('reads indented files, and lists in any order', async () => {
    const { out, argv } = await kit();
    const { annotations, ...rest } = cocoJson('train');
    writeFileSync(argv[4]!, `\ufeff${JSON.stringify({ annotations, ...rest }, null, 2)}\n`);
    await prepare(argv);
    expect(list(out, 'train')).toHaveLength(4);
  });

  it('visits elements across the borders of chunks, with their places in the file', async () => {
    // 9 MB, read in pieces of 4: keys, strings and elements lie across the borders.
    const annotations = Array.from({ length: 3000 }, (_, id) => ({
      id,
      text: `"}]{[\\${'é'.repeat(id % 3000)}`,
    }));
    const path = write(JSON.stringify({ other: [{ id: -1 }], annotations }));
    expect(statSync(path).size).toBeGreaterThan(8 << 20);
    const bytes = readFileSync(path);
    let seen = 0;
    const found = await visitJsonSections(path, ['annotations'], ({ value, offset, length }) => {
      expect(value).toEqual(annotations[seen]);
      expect(JSON.parse(bytes.toString('utf8', offset, offset + length))).toEqual(annotations[seen++]);
    });
    expect(seen).toBe(3000);
    expect([...found]).toEqual(['other', 'annotations']);
  });

  it('asks for one annotation file and one split for each folder', async () => {
    const { base, argv } = await kit();
    expect(await failure([...argv, '--images', work, work])).toMatch(
      /values, one for each of --images, for --annotations/,
    );
    expect(await failure([...argv, '--splits', 'test'])).toMatch(
      /train or val for --splits but received string 'test'/,
    );
    const odd = join(base, 'instances.json');
    writeFileSync(odd, whole);
    const start = ['coco', '--images', argv[2]!, '--annotations', odd, '--out', join(base, 'out')];
    expect(await failure(start)).toMatch(/received neither. Say which it is by --splits/);
    await prepare([...start, '--splits', 'val']);
    expect(await failure(['coco', '--images', join(base, 'none'), ...argv.slice(3)])).toMatch(
      /Cannot read .*none/,
    );
  });

  it('refuses splits with different classes', async () => {
    const { base, out, argv } = await kit();
    const json = {
      ...cocoJson('val'),
      categories: [...cocoJson('val').categories, { id: 2, name: 'bicycle' }],
    };
    const val = await writeCocoKit(base, 'val', json);
    const both = ['coco', '--images', argv[2]!, val[1]!, '--annotations', argv[4]!, val[3]!, '--out', out];
    expect(await failure(both)).toMatch(
      /categories of .*train2014.json \(3\) for .*val2014.json but received others \(4\)/,
    );
    await prepare(argv);
    expect(await failure(['coco', ...val, '--out', out])).toMatch(
      /categories of the train split in .* received others/,
    );
  });
});

it('writes every class number as it is', async () => {
  const categories = Array.from({ length: 254 }, (_, i) => ({ id: i + 1, name: `c${i + 1}` }));
  const annotations = categories.map(({ id }) => {
    const segmentation = rectangle((id - 1) % 70, Math.floor((id - 1) / 70), 1, 1);
    return { id, image_id: 9, category_id: id, segmentation, area: 1, iscrowd: 0 };
  });
  const { out, argv } = await kit((json) => Object.assign(json, { categories, annotations }));
  await prepare(argv);
  expect(Array.from(mask(out, 9).data.subarray(0, 255))).toEqual([...categories.map(({ id }) => id), 0]);
});
