/** Finds the volumes to prepare, their label volumes, and a patient number for each. */

import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UsageError } from '../config/errors.js';

/** One volume and, where labels are given, its label volume. */
export interface VolumePair {
  image: string;
  labels?: string;
  /** Digits, equally many for all volumes of a run. */
  patient: string;
  /** Name of the case's folder, where each case has one. */
  folder?: string;
}

const EXTENSION = /\.nii(\.gz)?$/i;
/** Names shown in messages. */
export const LISTED = 5;

/**
 * @param input a volume, or a folder of volumes (hidden files, such as macOS's `._*`, do not count)
 * @param labels a label volume, or a folder with one of the same name for each volume
 * @throws UsageError when a file or folder is missing, empty, or a volume has no labels
 */
export function findVolumePairs(input: string, labels: string | undefined): VolumePair[] {
  if (kindOf(input, '--input') === 'file') {
    return [{ image: input, labels: labels && labelsOfOne(input, labels), patient: '000' }];
  }
  const images = listVolumes(input);
  if (images.length === 0) throw new UsageError(noVolumes(input));
  const patients = patientNumbers(images.map(stem));
  const labelFiles = labels === undefined ? undefined : labelsOfMany(images, labels);
  return images
    .map((name, i) => ({ image: join(input, name), labels: labelFiles?.[i], patient: patients[i]! }))
    .sort((a, b) => (a.patient < b.patient ? -1 : 1));
}

/** The prefix that the dataset of these volumes uses in its names. */
export function namePrefix(pairs: readonly VolumePair[]): string {
  return pairs.every(({ image }) => /^brats/i.test(basename(image))) ? 'BRATS' : 'LASC';
}

const stem = (path: string): string => basename(path).replace(EXTENSION, '');

function kindOf(path: string, flag: string): 'file' | 'folder' {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) {
    throw new UsageError(
      `Expected a NIfTI volume or a folder of volumes for ${flag} but ${path} does not exist. Check the path.`,
    );
  }
  return status.isDirectory() ? 'folder' : 'file';
}

function listVolumes(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.') && EXTENSION.test(name))
    .sort();
}

function noVolumes(folder: string): string {
  // The Decathlon's tasks hold their volumes one folder deeper.
  const inner = readdirSync(folder).includes('imagesTr')
    ? ` Did you mean --input ${join(folder, 'imagesTr')} --labels ${join(folder, 'labelsTr')}?`
    : '';
  return `Expected .nii or .nii.gz files in ${folder} but received none.${inner}`;
}

function labelsOfOne(image: string, labels: string): string {
  return kindOf(labels, '--labels') === 'file' ? labels : labelsOfMany([basename(image)], labels)[0]!;
}

function labelsOfMany(images: readonly string[], labels: string): string[] {
  if (kindOf(labels, '--labels') === 'file') {
    throw new UsageError(
      `Expected a folder for --labels, as --input is one, but received the file ${labels}. ` +
        'It must hold a label volume of the same name for each volume.',
    );
  }
  const byStem = new Map(listVolumes(labels).map((name) => [stem(name), join(labels, name)]));
  const missing = images.filter((name) => !byStem.has(stem(name)));
  if (missing.length > 0) {
    const more = missing.length > LISTED ? ` and ${missing.length - LISTED} more` : '';
    throw new UsageError(
      `Expected a label volume in ${labels} for every volume but received none for ` +
        `${missing.slice(0, LISTED).join(', ')}${more}. Label volumes carry the names of their volumes.`,
    );
  }
  return images.map((name) => byStem.get(stem(name))!);
}

/** The number at the end of each name (`la_003` is patient 003) if all have one and no two the same; else 0, 1, ... */
export function patientNumbers(stems: readonly string[]): string[] {
  const found = stems.map((name) => /[_-](\d+)$/.exec(name)?.[1]);
  const numbers = found.map((digits) => (digits === undefined ? Number.NaN : Number(digits)));
  const usable = numbers.every(Number.isSafeInteger) && new Set(numbers).size === stems.length;
  const chosen = usable ? numbers : stems.map((_, i) => i);
  const width = Math.max(3, String(Math.max(...chosen)).length);
  return chosen.map((number) => String(number).padStart(width, '0'));
}
