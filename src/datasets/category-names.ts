import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Class names from the dataset.json that `prepare.js coco` writes beside name lists, in the order of class numbers.
 * @returns undefined where there is none, as beside the original's lists: names are for people only
 */
export function readCategoryNames(nameListDir: string): string[] | undefined {
  try {
    const { categories } = JSON.parse(readFileSync(join(nameListDir, 'dataset.json'), 'utf8'));
    const names = categories.map(({ name }: { name: unknown }) => name);
    return names.every((name: unknown) => typeof name === 'string') ? names : undefined;
  } catch {
    return undefined;
  }
}
