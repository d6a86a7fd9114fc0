import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VOC_CLASSES } from '../../src/datasets/voc-classes.js';
import type { NpyArray } from '../../src/io/npy.js';
import { readNpyDict } from '../../src/io/npy-dict.js';
import { prepare } from '../../src/prepare/cli.js';
import { parseNameList } from '../../src/prepare/name-lists.js';
import { objectNames } from '../../src/prepare/voc-annotation.js';
import { annotationXml, writeJpeg, writeMask, writeVocKit } from './image-kits.js';
import { failure, folders, silentProgress } from './prepare-command.js';

const { folder } = folders();
silentProgress();

async function kit(augmented = true) {
  const base = folder();
  return { root: await writeVocKit(base, augmented), out: join(base, 'data', 'voc') };
}

const list = (out: string, split: string) => readFileSync(join(out, `${split}.txt`), 'utf8').split('\n');

function classesOf(out: string): Record<string, string[]> {
  const dict = readNpyDict(join(out, 'cls_labels_onehot.npy'));
  return Object.fromEntries(
    [...dict].map(([name, value]) => {
      const { dtype, shape, data } = value as NpyArray;
      expect([dtype, shape]).toEqual(['float32', [20]]);
      return [name, VOC_CLASSES.filter((_, i) => data[i] === 1)];
    }),
  );
}

describe('annotations', () => {
  it('names every object, difficult ones too, and no parts', () => {
    const xml = annotationXml(['dog', 'person!', 'dog'], '<part><name>head</name></part>');
    expect(objectNames(xml)).toEqual(['dog', 'person', 'dog']);
  });

  it('reads what XML allows: declaration, comments, entities, CDATA, white space', () => {
    const xml =
      '<?xml version="1.0"?>\n<!-- made by hand -->\n<annotation>\n <object>\n  <name> tv<![CDATA[moni]]>&#116;or </name></object></annotation>';
    expect(objectNames(xml)).toEqual(['tvmonitor']);
  });

  it.each([
    ['<annotation><object><name>dog</name></annotation>', /closing tag|end tag|Missing/i],
    ['', /root|Expected/i],
    ['<labels/>', /root <labels>, not <annotation>/],
    ['<annotation><object><name/></object></annotation>', /<object> without <name>/],
  ])('refuses %j', (xml, message) => {
    expect(() => objectNames(xml)).toThrow(message);
  });

  it('has the official order of classes', () => {
    // VOC2012 development kit, section 3.1.1 and VOCinit.m.
    expect(VOC_CLASSES).toHaveLength(20);
    expect([VOC_CLASSES[0], VOC_CLASSES[14], VOC_CLASSES[19]]).toEqual(['aeroplane', 'person', 'tvmonitor']);
  });
});

it('reads name lists with any line ends', () => {
  expect(parseNameList('\ufeffa\r\n\n b \nc  1\n')).toEqual(['a', 'b', 'c']);
});

describe('prepare voc', () => {
  it('makes train_aug of all augmented masks but those of val, and labels from the annotations', async () => {
    const { root, out } = await kit();
    const text = await prepare(['voc', root, '--out', out]);
    expect(list(out, 'train_aug')).toEqual(['2007_000027', '2007_000032', '2007_000039', '2008_000002', '']);
    expect(list(out, 'train')).toEqual(['2007_000032', '2007_000039', '']);
    expect(list(out, 'val')).toEqual(['2007_000033', '2007_000042', '']);
    // The original's file names train_aug first, then val.
    expect(Object.entries(classesOf(out))).toEqual([
      ['2007_000027', ['person']],
      ['2007_000032', ['aeroplane', 'person']],
      ['2007_000039', ['chair', 'tvmonitor']],
      ['2008_000002', ['bus']],
      ['2007_000033', ['dog']],
      ['2007_000042', ['person', 'train']],
    ]);
    const sidecar = JSON.parse(readFileSync(join(out, 'dataset.json'), 'utf8'));
    expect(sidecar).toMatchObject({
      source: 'voc',
      masks_dir: join(root, 'SegmentationClassAug'),
      labels_from: 'annotations',
      images_by_class: { person: 2, bus: 1, dog: 0 },
    });
    expect(text).toContain('train 2, val 2, train_aug 4');
    expect(text).toContain(`--set dataset.name_list_dir=${out}`);
    expect(text).not.toContain('masks_dir');
  });

  it('says that there is no train_aug where there are no augmented masks', async () => {
    const { root, out } = await kit(false);
    const text = await prepare(['voc', root, '--out', out]);
    expect(existsSync(join(out, 'train_aug.txt'))).toBe(false);
    expect(text).toMatch(/No SegmentationClassAug in .*there is no train_aug list.*the 2 images/);
    expect(text).toContain('--set train.split=train');
    expect(text).toContain(`--set dataset.masks_dir=${join(root, 'SegmentationClass')}`);
  });

  it('takes augmented masks from elsewhere', async () => {
    const { root, out } = await kit(false);
    const masks = join(folder(), 'sbd');
    const size = { width: 70, height: 66 };
    for (const name of ['2007_000032', '2007_000039', '2007_000033', '2007_000042', '2008_000002'])
      await writeMask(join(masks, `${name}.png`), size);
    const text = await prepare(['voc', root, '--out', out, '--masks', masks]);
    expect(list(out, 'train_aug')).toEqual(['2007_000032', '2007_000039', '2008_000002', '']);
    expect(text).toContain(`dataset.masks_dir=${masks}`);
  });

  it('takes labels from the masks on request', async () => {
    const { root, out } = await kit();
    const size = { width: 70, height: 66 };
    const labels = new Uint8Array(70 * 66).fill(7, 50, 60).fill(20, 70, 71).fill(255, 80);
    await writeMask(join(root, 'SegmentationClassAug', '2007_000033.png'), size, labels);
    await prepare(['voc', root, '--out', out, '--labels_from', 'masks']);
    expect(classesOf(out)).toMatchObject({ '2007_000033': ['car', 'tvmonitor'], '2007_000032': ['person'] });

    await writeMask(join(root, 'SegmentationClassAug', '2007_000033.png'), size, labels.fill(21, 0, 1));
    await writeMask(join(root, 'SegmentationClassAug', '2007_000042.png'), size);
    const text = await failure(['voc', root, '--out', out, '--overwrite', '--labels_from', 'masks']);
    expect(text).toMatch(/1 masks with unknown classes: 21 in .*33.png/);
    expect(text).toMatch(/1 masks without a class: .*42.png/);
  });

  it('refuses to replace lists unless told to', async () => {
    const { root, out } = await kit();
    await prepare(['voc', root, '--out', out]);
    expect(await failure(['voc', root, '--out', out])).toMatch(/holds .*cls_labels_onehot.npy.*--overwrite/);
    await prepare(['voc', root, '--out', out, '--overwrite']);
  });
});

describe('faults of a devkit', () => {
  const spoil: [string, (root: string) => unknown, RegExp][] = [
    [
      'a missing image',
      (root) => rmSync(join(root, 'JPEGImages/2007_000039.jpg')),
      /1 missing images: .*39.jpg/,
    ],
    [
      'a missing mask',
      (root) => rmSync(join(root, 'SegmentationClassAug/2007_000033.png')),
      /1 missing masks: .*33.png/,
    ],
    [
      'a missing annotation',
      (root) => rmSync(join(root, 'Annotations/2008_000002.xml')),
      /1 missing annotations/,
    ],
    [
      'damaged XML',
      (root) => writeFileSync(join(root, 'Annotations/2008_000002.xml'), '<annotation><object>'),
      /1 annotations that cannot be read: .*2008_000002.xml \(.*\)/,
    ],
    [
      'XML without objects',
      (root) => writeFileSync(join(root, 'Annotations/2008_000002.xml'), annotationXml([])),
      /1 annotations without objects: .*2008_000002.xml/,
    ],
    [
      'an unknown class',
      (root) => writeFileSync(join(root, 'Annotations/2008_000002.xml'), annotationXml(['unicorn'])),
      /1 objects of unknown classes: 'unicorn' in .*2008_000002.xml/,
    ],
    [
      'a mask of another size',
      (root) => writeMask(join(root, 'SegmentationClassAug/2007_000039.png'), { width: 66, height: 70 }),
      /1 masks of another size than their image: .*39.png is 66 x 70, not 70 x 66/,
    ],
    [
      'a file that is no image',
      (root) => writeFileSync(join(root, 'JPEGImages/2007_000039.jpg'), 'no JPEG'),
      /1 images that cannot be read: .*39.jpg \(.*unsupported image format/,
    ],
  ];
  it.each(spoil)('names %s, writes nothing, and skips it on request', async (_, change, message) => {
    const { root, out } = await kit();
    await change(root);
    const text = await failure(['voc', root, '--out', out]);
    expect(text).toMatch(message);
    expect(text).toContain('--bad_data skip');
    expect(existsSync(out)).toBe(false);

    const said = await prepare(['voc', root, '--out', out, '--bad_data', 'skip']);
    expect(said).toMatch(message);
    const kept = [...list(out, 'train_aug'), ...list(out, 'val')].filter((name) => name !== '');
    expect(kept).toHaveLength(5);
    expect(Object.keys(classesOf(out)).sort()).toEqual(kept.sort());
  });

  it('keeps an image of which only one object has an unknown class', async () => {
    const { root, out } = await kit();
    writeFileSync(join(root, 'Annotations/2008_000002.xml'), annotationXml(['unicorn', 'bus']));
    await prepare(['voc', root, '--out', out, '--bad_data', 'skip']);
    expect(classesOf(out)['2008_000002']).toEqual(['bus']);
  });

  it('names images in both lists, and names listed twice', async () => {
    const { root, out } = await kit();
    const lists = join(root, 'ImageSets/Segmentation');
    writeFileSync(join(lists, 'train.txt'), '2007_000032\n2007_000032\n2007_000033\n');
    const text = await failure(['voc', root, '--out', out]);
    expect(text).toMatch(/1 names listed twice: 2007_000032 in train.txt/);
    expect(text).toMatch(/1 images of both train.txt and val.txt: 2007_000033/);
    await prepare(['voc', root, '--out', out, '--bad_data', 'skip']);
    expect(list(out, 'train')).toEqual(['2007_000032', '']);
    expect(list(out, 'val')).toEqual(['2007_000033', '2007_000042', '']);
  });

  it('counts, and shows three examples', async () => {
    const { root, out } = await kit();
    rmSync(join(root, 'Annotations'), { recursive: true });
    mkdirSync(join(root, 'Annotations'));
    expect(await failure(['voc', root, '--out', out])).toMatch(
      /6 missing annotations: [^;]+; [^;]+; [^;]+; and 3 more/,
    );
  });

  it('asks for the inner folder where the outer one is given', async () => {
    const { root, out } = await kit();
    expect(await failure(['voc', join(root, '..', '..'), '--out', out])).toContain(
      `Did you mean ${join(root, '..', '..', 'VOCdevkit', 'VOC2012')}?`,
    );
    expect(await failure(['voc', join(root, 'nowhere'), '--out', out])).toMatch(/this folder does not exist/);
  });

  it('refuses empty lists and mask folders without masks', async () => {
    const { root, out } = await kit();
    await writeJpeg(join(root, 'other', 'a.jpg'), { width: 8, height: 8 });
    expect(await failure(['voc', root, '--out', out, '--masks', join(root, 'other')])).toMatch(
      /masks \{name\}.png/,
    );
    writeFileSync(join(root, 'ImageSets/Segmentation/val.txt'), '\n');
    expect(await failure(['voc', root, '--out', out])).toMatch(/val.txt but received an empty list/);
    expect(await failure(['voc', '--out', out])).toMatch(/the folder VOCdevkit\/VOC2012 for --input/);
  });
});
