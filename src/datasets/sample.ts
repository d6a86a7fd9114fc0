/** What a dataset gives: types only, shared by datasets, loading, evaluation and export. */

/** RGB pixels: `data` is [height, width, 3], row-major; values on the 0..255 scale. */
export interface RgbImage {
  data: Uint8Array | Float32Array;
  height: number;
  width: number;
  channels?: 3;
}

/** Grey pixels: `data` is [height, width]. Stands for an RGB image whose three channels are equal. */
export interface GreyImage {
  data: Uint8Array | Float32Array;
  height: number;
  width: number;
  channels: 1;
}

/** Decoded pixels. Grey stays grey until a batch is written: a third of the memory and of the work. */
export type PixelImage = GreyImage | RgbImage;

/** Ground truth, [height, width]: 0 is background, 1.. are classes, 255 is ignored by every score. */
export interface Mask {
  data: Uint8Array;
  height: number;
  width: number;
}

/** One image with what is known about it. */
export interface Sample {
  /** File name without its extension: the key of every output file. */
  name: string;
  image: RgbImage;
  /** Multi-hot image-level label, [numClasses - 1]: background has no entry. */
  label: Uint8Array;
  mask?: Mask;
}

/** Mask value that no score counts. */
export const MASK_IGNORE = 255;

/** Grey pixels replicated to three equal channels; RGB images are returned as they are. */
export function toRgb(image: PixelImage): RgbImage {
  if (image.channels !== 1) return image;
  const { data: grey, height, width } = image;
  const data =
    grey instanceof Uint8Array ? new Uint8Array(grey.length * 3) : new Float32Array(grey.length * 3);
  for (let i = 0, o = 0; i < grey.length; i++, o += 3) data[o] = data[o + 1] = data[o + 2] = grey[i]!;
  return { data, height, width, channels: 3 };
}
