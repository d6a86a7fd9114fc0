/** JPEG and PNG files as pixels, with the numbers that Pillow gives (behind imageio, the original's reader). */
import { readFile } from 'node:fs/promises';
import sharp, { type Sharp } from 'sharp';
import { FileFormatError, fileAccessError } from '../io/file-error.js';
import { asDataFault } from './data-fault.js';
import type { PixelImage } from './sample.js';

// One image is decoded on one thread: the loader's workers are the parallelism, and threads beyond them would take
// the cores from the network. A training image is seen once in an epoch, so no decoded image is worth keeping.
sharp.concurrency(1);
sharp.cache(false);

/** What libjpeg warns of (damage amid the data, which it fills with grey) fails, too: a picture must not be half noise. */
const DECODING = { failOn: 'warning', ignoreIcc: true } as const;

/**
 * Reads an 8-bit RGB or grey image; grey stays grey. CMYK becomes RGB by Pillow's formula, (1 - C)(1 - K); 16-bit values
 * lose their low byte; transparency is dropped; colour profiles and the EXIF orientation are ignored, as the original's
 * imageio does.
 * @throws UsageError that names the file when it is missing, damaged or of another kind
 */
export async function readImageFile(path: string): Promise<PixelImage> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw asDataFault(fileAccessError(error, 'read', path));
  }
  try {
    return await decode(bytes);
  } catch (error) {
    // libvips says many lines for one file; the first tells most.
    const reason = (error as Error).message.split('\n')[0]!.replace(/^Input buffer has corrupt header: /, '');
    const received = bytes.length === 0 ? 'an empty file' : `one that cannot be decoded (${reason})`;
    const remedy = 'Fetch the file again, or take it off the list.';
    const fault = new FileFormatError({ path, expected: 'a JPEG or PNG image', received, remedy });
    throw asDataFault(fault);
  }
}

async function decode(bytes: Buffer): Promise<PixelImage> {
  const image = sharp(bytes, DECODING);
  const { space, format, channels = 3 } = await image.metadata();
  if (format !== 'jpeg' && format !== 'png') throw new Error(`its format is ${format}`);
  if (space === 'cmyk') return decodeCmyk(image);
  const isGrey = channels < 3;
  const pipeline = isGrey ? image.removeAlpha().toColourspace('b-w') : image.removeAlpha();
  const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true });
  const { height, width } = info;
  // A grey image may come back as three equal channels, depending on the version.
  if (isGrey) return { data: firstOf(data, info.channels), height, width, channels: 1 };
  return { data: bytesOf(data), height, width, channels: 3 };
}

async function decodeCmyk(image: Sharp): Promise<PixelImage> {
  const { data, info } = await image
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { height, width, channels } = info;
  if (channels !== 4) throw new Error(`CMYK with ${channels} channels`);
  const rgb = new Uint8Array(3 * height * width);
  for (let i = 0, p = 0; i < rgb.length; i += 3, p += 4) {
    const light = 255 - data[p + 3]!;
    for (let c = 0; c < 3; c++) {
      const product = data[p + c]! * light + 128;
      // Pillow's rounded division by 255; ink and black together darken.
      rgb[i + c] = Math.max(0, light - ((product + (product >> 8)) >> 8));
    }
  }
  return { data: rgb, height, width, channels: 3 };
}

const bytesOf = (data: Buffer): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function firstOf(data: Buffer, channels: number): Uint8Array {
  if (channels === 1) return bytesOf(data);
  return Uint8Array.from({ length: data.length / channels }, (_, i) => data[i * channels]!);
}
