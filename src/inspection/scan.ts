/** Reads every sample of a split once and keeps what is worth knowing of it; pixels are not kept. */
import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import type { Dataset } from '../datasets/dataset.js';
import { MASK_IGNORE, type Mask, type PixelImage } from '../datasets/sample.js';
import { readNpyHeader } from '../io/npy.js';

export interface SampleFacts {
  name: string;
  patient: string | undefined;
  label: Uint8Array;
  height: number;
  width: number;
  /** "npy int16", "JPEG": how the file holds its values. */
  format: string;
  min: number;
  max: number;
  /** Evenly spaced values, for percentiles of the whole. */
  values: Float32Array;
  /** Of size and pixels: equal images, equal hash, whatever their file form. */
  hash: string;
  /** Pixels of each class in the mask, if any; undefined without a mask. */
  maskPixels: Map<number, number> | undefined;
}

export interface SplitScan {
  split: string;
  numClasses: number;
  samples: SampleFacts[];
  unreadable: { name: string; why: string }[];
}

/** Decoders of pictures work on threads of their own: this many keep them busy. */
const AT_ONCE = 4;

export async function scanSplit(
  dataset: Dataset,
  split: string,
  valuesPerImage: number,
  onProgress: () => Promise<void> | void,
): Promise<SplitScan> {
  const facts: (SampleFacts | undefined)[] = [];
  const unreadable: SplitScan['unreadable'] = [];
  let next = 0;
  const work = async () => {
    for (let i = next++; i < dataset.names.length; i = next++) {
      try {
        facts[i] = await scanSample(dataset, i, valuesPerImage);
      } catch (error) {
        unreadable.push({ name: dataset.names[i]!, why: (error as Error).message });
      }
      await onProgress();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  unreadable.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { split, numClasses: dataset.numClasses, samples: facts.filter((f) => f !== undefined), unreadable };
}

async function scanSample(dataset: Dataset, index: number, valuesPerImage: number): Promise<SampleFacts> {
  const image = await dataset.readImage(index);
  const mask = await dataset.readMask(index, image);
  const { data, height, width } = image;
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of data) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const step = Math.max(1, Math.floor(data.length / valuesPerImage));
  const values = Float32Array.from({ length: Math.floor(data.length / step) }, (_, i) => data[i * step]!);
  return {
    name: dataset.names[index]!,
    patient: dataset.patients?.[index],
    label: dataset.label(index),
    height,
    width,
    format: formatOf(dataset, index),
    min,
    max,
    values,
    hash: hashOf(image),
    maskPixels: mask && pixelsByClass(mask),
  };
}

function pixelsByClass({ data }: Mask): Map<number, number> {
  const counts = new Uint32Array(256);
  for (const value of data) counts[value]! += 1;
  const shown = [...counts.entries()].filter(([value, n]) => n > 0 && value !== 0 && value !== MASK_IGNORE);
  return new Map(shown);
}

function formatOf(dataset: Dataset, index: number): string {
  const path = dataset.imagePath?.(index);
  if (path === undefined) return 'unknown';
  const extension = extname(path).slice(1).toLowerCase();
  return extension === 'npy' ? `npy ${readNpyHeader(path).dtype}` : extension.toUpperCase();
}

function hashOf({ data, height, width, channels = 3 }: PixelImage): string {
  const hash = createHash('sha256').update(`${data.constructor.name} ${height} ${width} ${channels}\n`);
  return hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).digest('hex');
}
