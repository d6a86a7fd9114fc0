/** Looks at one image of a VOCdevkit: its classes, and whether image and mask can be used. */

import { existsSync, readFileSync } from 'node:fs';
import { MASK_IGNORE } from '../datasets/sample.js';
import { VOC_CLASSES } from '../datasets/voc-classes.js';
import { readLabelPng } from '../io/label-png.js';
import type { Faults } from './faults.js';
import { readImageSize } from './image-sizes.js';
import { objectNames } from './voc-annotation.js';

const CLASS_INDEX = new Map<string, number>(VOC_CLASSES.map((name, index) => [name, index]));

/** Classes of an image, from 0; empty, with a fault, where its annotation gives none. */
export function classesOfAnnotation(path: string, faults: Faults): Set<number> {
  const present = new Set<number>();
  let objects: string[];
  try {
    objects = objectNames(readFileSync(path, 'utf8'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') faults.add('missing annotations', path);
    else faults.add('annotations that cannot be read', `${path} (${message.split('\n')[0]})`);
    return present;
  }
  if (objects.length === 0) faults.add('annotations without objects', path);
  for (const object of objects) {
    const index = CLASS_INDEX.get(object);
    if (index === undefined) faults.add('objects of unknown classes', `'${object}' in ${path}`);
    else present.add(index);
  }
  return present;
}

/** Classes of a mask's pixels, from 0; those with another number than a class or 255 are a fault. */
export function classesOfMask(path: string, faults: Faults): Set<number> {
  const present = new Set<number>();
  // Missing masks have been named where sizes are compared.
  if (!existsSync(path)) return present;
  try {
    const values = new Set(readLabelPng(path).data);
    values.delete(0);
    values.delete(MASK_IGNORE);
    for (const value of values) {
      if (value <= VOC_CLASSES.length) present.add(value - 1);
      else faults.add('masks with unknown classes', `${value} in ${path}`);
    }
    if (values.size === 0) faults.add('masks without a class', path);
  } catch (error) {
    faults.add('masks that cannot be read', (error as Error).message);
  }
  return present;
}

/** Whether image and mask are there and have one size. */
export async function checkPixels(image: string, mask: string, faults: Faults): Promise<boolean> {
  const paths = { images: image, masks: mask };
  const sizes: string[] = [];
  for (const [kind, path] of Object.entries(paths)) {
    if (!existsSync(path)) {
      faults.add(`missing ${kind}`, path);
      continue;
    }
    try {
      const { height, width } = await readImageSize(path);
      sizes.push(`${width} x ${height}`);
    } catch (error) {
      faults.add(`${kind} that cannot be read`, `${path} (${(error as Error).message.split('\n')[0]})`);
    }
  }
  if (sizes.length < 2) return false;
  if (sizes[0] === sizes[1]) return true;
  faults.add('masks of another size than their image', `${mask} is ${sizes[1]}, not ${sizes[0]}`);
  return false;
}
