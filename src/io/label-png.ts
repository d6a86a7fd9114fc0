/**
 * Label maps in PNG files: one class number for each pixel, 255 where it is ignored. VOC's are palette PNGs
 * (the index is the class, the palette only paints it), SegmentationClassAug and COCO masks are grey.
 * Image libraries turn palettes into colours, so these files have a reader of their own.
 */
import { readFileSync } from 'node:fs';
import { type DecodedPng, decode, encode } from 'fast-png';
import { writeFileAtomic, writeFileAtomicAsync } from './atomic.js';
import { FileFormatError, fileAccessError } from './file-error.js';
import { VOC_PALETTE } from './voc-palette.js';

/** Class numbers, `[height, width]`, row-major. */
export interface LabelMap {
  data: Uint8Array;
  height: number;
  width: number;
}

const EXPECTED = 'a PNG of class numbers (palette, grey, or in VOC colours)';

/**
 * Reads the class numbers of a palette PNG (its indices), of a grey PNG (its values) or of one painted in
 * VOC's colours (exactly those: no nearest colour is looked for). Transparency is dropped.
 * @throws FileFormatError that names the file, and the pixel where one is at fault: damaged, not a PNG, a colour
 * outside VOC's, a palette whose order is not VOC's, a value above 255
 */
export function readLabelPng(path: string): LabelMap {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw fileAccessError(error, 'read', path);
  }
  return decodeLabelPng(bytes, path);
}

/** As `readLabelPng`, from bytes; `path` is for messages. */
export function decodeLabelPng(bytes: Uint8Array, path: string): LabelMap {
  const png = decodePng(bytes, path);
  const { height, width } = png;
  if (png.palette) return { data: checkedIndices(png, path), height, width };
  return { data: png.channels < 3 ? greyValues(png, path) : classesOfColours(png, path), height, width };
}

function decodePng(bytes: Uint8Array, path: string): DecodedPng {
  try {
    return decode(bytes, { checkCrc: true });
  } catch (error) {
    const isPng = bytes.length > 8 && bytes[0] === 0x89 && bytes[1] === 0x50;
    const received = !isPng
      ? bytes.length === 0
        ? 'an empty file'
        : 'a file of another kind'
      : `a damaged one (${(error as Error).message})`;
    throw new FileFormatError({ path, expected: EXPECTED, received }, { cause: error });
  }
}

/** First byte of each pixel of an 8-bit PNG, or the unpacked values of one with fewer bits. */
function greyValues({ data, depth, channels, height, width }: DecodedPng, path: string): Uint8Array {
  if (depth < 8) return unpackBits(data, depth, height, width);
  if (depth === 8 && channels === 1) return data as Uint8Array;
  const values = new Uint8Array(height * width);
  for (let i = 0; i < values.length; i++) {
    const value = data[i * channels]!;
    if (value > 255) throw wrong(path, `value ${value} at ${place(i, width)}`, 'Class numbers end at 255.');
    values[i] = value;
  }
  return values;
}

/** Rows are padded to whole bytes, the leftmost pixel in the highest bits. */
function unpackBits(packed: ArrayLike<number>, depth: number, height: number, width: number): Uint8Array {
  const rowBytes = Math.ceil((width * depth) / 8);
  const values = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const shift = 8 - depth - (bit & 7);
      values[y * width + x] = (packed[y * rowBytes + (bit >> 3)]! >> shift) & ((1 << depth) - 1);
    }
  }
  return values;
}

/** Class of each VOC colour, by `red << 16 | green << 8 | blue`; the 256 colours are all different. */
const CLASS_OF_COLOUR = new Map(
  Array.from({ length: 256 }, (_, label) => [
    (VOC_PALETTE[3 * label]! << 16) | (VOC_PALETTE[3 * label + 1]! << 8) | VOC_PALETTE[3 * label + 2]!,
    label,
  ]),
);

/**
 * Indices of a palette PNG. Programs that shrink PNGs renumber palettes, and with them the classes: where every
 * colour in use is VOC's but not at its own place, the indices cannot be trusted.
 */
function checkedIndices(png: DecodedPng, path: string): Uint8Array {
  const { palette, height, width } = png;
  const indices = greyValues(png, path);
  const firstUse = new Map<number, number>();
  for (let i = 0; i < indices.length; i++) if (!firstUse.has(indices[i]!)) firstUse.set(indices[i]!, i);
  const classes = new Map<number, number | undefined>();
  for (const [index, pixel] of firstUse) {
    const colour = palette![index];
    if (!colour) {
      throw wrong(
        path,
        `index ${index} at ${place(pixel, width)}, beyond its palette of ${palette!.length} colours`,
        'The file is damaged: make it again.',
      );
    }
    classes.set(index, CLASS_OF_COLOUR.get((colour[0]! << 16) | (colour[1]! << 8) | colour[2]!));
  }
  const moved = [...classes].find(([index, label]) => label !== index);
  if (moved && [...classes.values()].every((label) => label !== undefined)) {
    const [index, label] = moved;
    throw wrong(
      path,
      `a wrong palette: index ${index}, first at ${place(firstUse.get(index)!, width)}, has VOC's colour of class ${label}`,
      'A program that renumbers palettes has saved it: take the original file, or save it with class numbers as grey values.',
    );
  }
  return indices.length === height * width ? indices : indices.slice(0, height * width);
}

function classesOfColours({ data, depth, channels, height, width }: DecodedPng, path: string): Uint8Array {
  if (depth !== 8)
    throw wrong(path, `colours of ${depth} bits a channel`, 'Save class numbers as grey values.');
  const labels = new Uint8Array(height * width);
  for (let i = 0; i < labels.length; i++) {
    const [r, g, b] = [data[i * channels]!, data[i * channels + 1]!, data[i * channels + 2]!];
    const label = CLASS_OF_COLOUR.get((r << 16) | (g << 8) | b);
    if (label === undefined) {
      throw wrong(
        path,
        `a wrong palette: colour (${r}, ${g}, ${b}) at ${place(i, width)} is none of VOC's`,
        'Save class numbers as grey values or palette indices, without smoothing.',
      );
    }
    labels[i] = label;
  }
  return labels;
}

const place = (pixel: number, width: number): string =>
  `row ${Math.floor(pixel / width)}, column ${pixel % width}`;

const wrong = (path: string, received: string, remedy: string): FileFormatError =>
  new FileFormatError({ path, expected: EXPECTED, received, remedy });

/**
 * Encodes class numbers as an 8-bit PNG.
 * @param labels `[height * width]`, row-major
 * @param palette `[n, 3]` RGB bytes, n up to 256: a palette PNG whose indices are the classes; without it, grey
 * @throws RangeError when the labels do not fill height * width pixels, or one has no colour in the palette
 */
export function encodeLabelPng(
  labels: Uint8Array,
  height: number,
  width: number,
  palette?: Readonly<Uint8Array>,
): Uint8Array {
  if (labels.length !== height * width || labels.length === 0) {
    throw new RangeError(
      `Expected ${height * width} labels for a ${height}x${width} label map but received ${labels.length}`,
    );
  }
  const image = { width, height, data: labels, depth: 8 as const, channels: 1 };
  if (!palette) return encode(image);
  const colours = Array.from({ length: palette.length / 3 }, (_, i) => [
    ...palette.subarray(3 * i, 3 * i + 3),
  ]);
  const orphan = labels.find((label) => label >= colours.length);
  if (orphan !== undefined) {
    throw new RangeError(
      `Expected labels below ${colours.length}, the palette's length, but received ${orphan}`,
    );
  }
  return encode({ ...image, palette: colours });
}

/**
 * Writes class numbers as a PNG file, whole or not at all: see `encodeLabelPng`.
 * @throws RangeError as `encodeLabelPng`; FileAccessError when the file cannot be written
 */
export function writeLabelPng(
  path: string,
  labels: Uint8Array,
  height: number,
  width: number,
  palette?: Readonly<Uint8Array>,
): void {
  writeFileAtomic(path, encodeLabelPng(labels, height, width, palette));
}

/** As `writeLabelPng`, without blocking the event loop while it writes: for exports beside other work. */
export async function writeLabelPngAsync(...args: Parameters<typeof writeLabelPng>): Promise<void> {
  const [path, ...content] = args;
  await writeFileAtomicAsync(path, encodeLabelPng(...content));
}
