/**
 * What a COCO annotation file says, without its outlines: images, classes, and where in the file each image's annotations lie.
 * A file of 450 MB becomes about 100 MB, and its outlines are read again image by image.
 */

import { FileFormatError } from '../io/file-error.js';
import { checkSegmentation } from './coco-segmentation.js';
import type { Faults } from './faults.js';
import { type JsonElement, visitJsonSections } from './json-sections.js';

export interface CocoCategory {
  id: number;
  name: string;
}

export interface CocoImage {
  id: number;
  /** File name without `.jpg`. */
  name: string;
  height: number;
  width: number;
  /** Classes of its sound annotations, from 0. */
  present: Set<number>;
  /** Byte offset and length of each sound annotation, in turn. */
  places: number[];
}

export interface CocoIndex {
  path: string;
  /** In the order of their ids: entry k is class k + 1 of the masks. */
  categories: CocoCategory[];
  /** In the order of their names, also those without annotations. */
  images: CocoImage[];
  annotations: number;
}

/** Masks have one byte a pixel: 0 is background and 255 ignored. */
const MOST_CATEGORIES = 254;

/**
 * @param onBytes called with the bytes looked at and their number, over both passes
 * @throws FileFormatError when the file is no instance annotation file; faults of single entries go to `faults`
 */
export async function indexCocoFile(
  path: string,
  faults: Faults,
  onBytes?: (done: number, total: number) => void,
): Promise<CocoIndex> {
  const categories: CocoCategory[] = [];
  const images = new Map<number, CocoImage>();
  const names = new Set<string>();
  // Images may come after annotations, and annotations cannot be judged without them: hence two passes.
  const found = await visitJsonSections(
    path,
    ['images', 'categories'],
    ({ section, value }) => {
      if (section === 'categories') categories.push(readCategory(path, value));
      else addImage(path, value, images, names, faults);
    },
    (done, total) => onBytes?.(done, 2 * total),
  );
  for (const section of ['images', 'annotations', 'categories']) {
    if (!found.has(section))
      throw notInstances(path, `no ${section} (its lists are ${[...found].join(', ')})`);
  }
  categories.sort((a, b) => a.id - b.id);
  checkCategories(path, categories);
  const classOf = new Map(categories.map(({ id }, index) => [id, index]));
  let annotations = 0;
  await visitJsonSections(
    path,
    ['annotations'],
    (element) => {
      annotations++;
      addAnnotation(path, element, images, classOf, faults);
    },
    (done, total) => onBytes?.(total + done, 2 * total),
  );
  const ordered = [...images.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { path, categories, images: ordered, annotations };
}

function readCategory(path: string, value: Record<string, unknown>): CocoCategory {
  const { id, name } = value;
  if (!Number.isSafeInteger(id) || typeof name !== 'string') {
    throw notInstances(path, `category ${JSON.stringify(value).slice(0, 80)} without id or name`);
  }
  return { id: id as number, name };
}

function checkCategories(path: string, categories: readonly CocoCategory[]): void {
  const count = categories.length;
  if (count === 0 || count > MOST_CATEGORIES) throw notInstances(path, `${count} categories`);
  const twice = categories.find(({ id }, index) => categories[index + 1]?.id === id);
  if (twice) throw notInstances(path, `two categories of id ${twice.id}`);
}

function addImage(
  path: string,
  value: Record<string, unknown>,
  images: Map<number, CocoImage>,
  names: Set<string>,
  faults: Faults,
): void {
  const { id, file_name: file, height, width } = value;
  const isSize = (size: unknown): size is number => Number.isSafeInteger(size) && (size as number) > 0;
  if (!Number.isSafeInteger(id) || typeof file !== 'string' || !isSize(height) || !isSize(width)) {
    throw notInstances(
      path,
      `image ${JSON.stringify(value).slice(0, 80)} without id, file_name, height or width`,
    );
  }
  // Names become file names of masks and lines of lists.
  const name = /^([^/\\\s.][^/\\\s]*)\.jpg$/.exec(file)?.[1];
  if (name === undefined) faults.add('images not named {name}.jpg', `'${file}'`);
  else if (images.has(id as number)) faults.add('images with the id of another', `${id} (${file})`);
  else if (names.has(name)) faults.add('images with the file of another', `${file} (id ${id})`);
  else {
    names.add(name);
    images.set(id as number, { id: id as number, name, height, width, present: new Set(), places: [] });
  }
}

function addAnnotation(
  path: string,
  { value, offset, length }: JsonElement,
  images: ReadonlyMap<number, CocoImage>,
  classOf: ReadonlyMap<number, number>,
  faults: Faults,
): void {
  const { id, image_id: imageId, category_id: categoryId } = value;
  if (categoryId === undefined && 'caption' in value) throw notInstances(path, 'captions');
  const image = images.get(imageId as number);
  const index = classOf.get(categoryId as number);
  const where = `annotation ${id ?? `at byte ${offset}`}`;
  if (image === undefined) {
    faults.add('annotations of unknown images', `${where} of image ${imageId}`);
    return;
  }
  if (index === undefined) {
    faults.add('annotations of unknown categories', `${where} of category ${categoryId} (${image.name})`);
    return;
  }
  try {
    checkSegmentation(value.segmentation, image.height, image.width);
  } catch (error) {
    faults.add('malformed segmentations', `${where} of ${image.name}: ${(error as Error).message}`);
    return;
  }
  image.present.add(index);
  image.places.push(offset, length);
}

const notInstances = (path: string, received: string): FileFormatError =>
  new FileFormatError({
    path,
    expected: 'a COCO file of images, annotations and categories',
    received,
    remedy: 'It is the one named instances_*.json in annotations_trainval2014.zip.',
  });
