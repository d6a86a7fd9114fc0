import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readCategoryNames } from '../../src/datasets/category-names.js';
import { classNames } from '../../src/datasets/class-names.js';
import type { DatasetInfo } from '../../src/loading/loader.js';

const folder = mkdtempSync(join(tmpdir(), 'class-names-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('class names', () => {
  it('are read from what prepare.js coco writes beside its lists', () => {
    const categories = [
      { class: 1, category_id: 3, name: 'car' },
      { class: 2, category_id: 18, name: 'dog' },
    ];
    writeFileSync(join(folder, 'dataset.json'), JSON.stringify({ source: 'coco', categories }));
    expect(readCategoryNames(folder)).toEqual(['car', 'dog']);
  });

  it.each(['', '{}', '{"categories": [{"name": 3}]}', '[]'])(
    'are left out where the file holds %j, as beside lists of others',
    (text) => {
      writeFileSync(join(folder, 'dataset.json'), text);
      expect(readCategoryNames(folder)).toBeUndefined();
    },
  );

  it('are numbers where nothing is known', () => {
    expect(readCategoryNames(join(folder, 'none'))).toBeUndefined();
    const known = { numClasses: 3, classNames: ['car', 'dog'] } as unknown as DatasetInfo;
    expect(classNames(known)).toEqual(['background', 'car', 'dog']);
    expect(classNames({ numClasses: 3 } as DatasetInfo)).toEqual(['background', 'class 1', 'class 2']);
  });
});
