import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import sharp from 'sharp';
import { expected, UsageError } from '../config/errors.js';
import { type IntensityRule, mapIntensity } from '../datasets/intensity.js';
import { readPixels } from '../datasets/pixels.js';
import { type PixelImage, toRgb } from '../datasets/sample.js';
import { fileAccessError } from '../io/file-error.js';

/** Pixels on the 0..255 scale, row-major: [height, width] grey or [height, width, 3] RGB. */
export interface ImagePixels {
  data: Uint8Array | Float32Array;
  height: number;
  width: number;
  /** Without it, the length of `data` decides. */
  channels?: 1 | 3;
}

/** Pixels, or the path of a .npy slice, a .png or a .jpg. */
export type ImageInput = ImagePixels | string;

const PICTURES = ['.png', '.jpg', '.jpeg'];

const isSide = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0;

/** @throws UsageError that names the field at fault */
function checkPixels(image: ImagePixels): PixelImage {
  const { data, height, width } = (image ?? {}) as Partial<ImagePixels>;
  if (!(data instanceof Uint8Array || data instanceof Float32Array))
    throw new UsageError(
      `${expected('a Uint8Array or Float32Array of pixels, or a path,', 'image.data', data)}.`,
    );
  for (const [side, value] of Object.entries({ height, width }))
    if (!isSide(value)) throw new UsageError(`${expected('a positive integer', `image.${side}`, value)}.`);
  const pixels = height! * width!;
  const channels: unknown = image.channels ?? data.length / pixels;
  if (channels !== 1 && channels !== 3)
    throw new UsageError(
      image.channels === undefined
        ? `Expected ${pixels} (grey) or ${3 * pixels} (RGB) values for image.data of ${height}x${width} pixels but received ${data.length}.`
        : `${expected('1 (grey) or 3 (RGB)', 'image.channels', channels)}. Drop an alpha channel first.`,
    );
  if (data.length !== channels * pixels)
    throw new UsageError(
      `Expected ${channels * pixels} values (${height} x ${width} x ${channels}) for image.data but received ${data.length}.`,
    );
  const bad = data instanceof Float32Array ? data.findIndex((value) => !Number.isFinite(value)) : -1;
  if (bad >= 0)
    throw new UsageError(
      `Expected finite values for image.data but received ${data[bad]} at element ${bad}.`,
    );
  return { data, height: height!, width: width!, channels } as PixelImage;
}

/** Decodes a PNG or JPEG on sharp's threads: 8-bit RGB without transparency, turned as it is stored. */
async function readPicture(path: string, warn: (message: string) => void): Promise<PixelImage> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw fileAccessError(error, 'read', path);
  });
  try {
    const { depth } = await sharp(bytes).metadata();
    if (depth !== 'uchar')
      warn(
        `${path} has more than 8 bits a channel: only the upper 8 are used, so a 12-bit image in it looks black. ` +
          'Scale such images to 0..255 and give them as .npy.',
      );
    const picture = sharp(bytes).toColourspace('srgb').removeAlpha().raw();
    const { data, info } = await picture.toBuffer({ resolveWithObject: true });
    return { data, height: info.height, width: info.width };
  } catch (cause) {
    throw new UsageError(
      `Expected a PNG or JPEG image for ${path} but it cannot be decoded (${(cause as Error).message}). ` +
        'Copy or create the file again.',
      { cause },
    );
  }
}

const withIntensity = (image: PixelImage, rule: IntensityRule): PixelImage =>
  rule === 'raw' ? image : { ...image, data: mapIntensity(image.data, rule) };

/**
 * Takes an image as the network's datasets do: grey stays grey, values stay on their scale.
 * @param warn told of files whose values are off the 0..255 scale
 * @param intensity how values become that scale, as `dataset.intensity` had it in training
 * @throws UsageError, FileAccessError that name file or field
 */
export async function loadImage(
  image: ImageInput,
  warn: (message: string) => void,
  intensity: IntensityRule = 'raw',
): Promise<PixelImage> {
  if (typeof image !== 'string') return withIntensity(checkPixels(image), intensity);
  const extension = extname(image).toLowerCase();
  // A slice is small: its one synchronous read is shorter than a thread's start.
  if (extension === '.npy') return readPixels(image, (_, message) => warn(message), intensity);
  if (PICTURES.includes(extension)) return withIntensity(await readPicture(image, warn), intensity);
  throw new UsageError(
    `Expected a ${['.npy', ...PICTURES].join(', ')} file for the image but received ${image}. ` +
      'Convert it, or give its pixels as {data, height, width}.',
  );
}

/** Bytes to draw on, [height, width, 3]: values rounded and cut to 0..255. */
export function toRgbPixels(image: PixelImage): Uint8Array {
  const { data } = toRgb(image);
  return data instanceof Uint8Array ? data : Uint8Array.from(Uint8ClampedArray.from(data));
}
