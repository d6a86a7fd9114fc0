import type { PixelImage } from '../datasets/sample.js';
import { batchImages } from '../loading/batch-images.js';
import { packPixels } from '../loading/batch-pixels.js';
import { whole } from '../loading/transforms.js';
import type { WeTr } from '../models/wetr.js';
import { native, type TensorHandle } from '../native/index.js';
import { type Device, Tensor } from '../tensor/index.js';
import { labelMap } from './label-map.js';

/** What the network says of one image. */
export interface Prediction {
  /** Highest class probability: how sure the model is that the image shows any class. */
  score: number;
  /** Probability of each class, [numClasses - 1]; background has none. */
  scores: number[];
  /** Multi-scale class activation map, [height * width] in 0..1: the strongest class of each pixel. */
  cam: Float32Array<ArrayBuffer>;
  /** The maps of the single classes, each [height * width] in 0..1. */
  cams: Float32Array<ArrayBuffer>[];
  /** Class of each pixel by the segmentation head, [height * width], 0 is background. */
  segmentation: Uint8Array<ArrayBuffer>;
  height: number;
  width: number;
}

/** Copies a result's numbers out and frees it. */
function take(handle: TensorHandle): { values: Float32Array<ArrayBuffer>; shape: readonly number[] } {
  const tensor = new Tensor(handle);
  try {
    return { values: tensor.toFloat32(), shape: tensor.shape };
  } finally {
    tensor.dispose();
  }
}

/** Queues the network's passes over one image; the job holds the image itself, so nothing is left behind here. */
function queue(model: WeTr, image: PixelImage, scales: readonly number[], device: Device) {
  const { height, width } = image;
  const input = batchImages({ pixels: packPixels([whole(image)], height, width), height, width }, device);
  try {
    return native.predictAsync(model.handle, Tensor.handle(input), scales, 0);
  } finally {
    input.dispose();
  }
}

/** Runs the network on one image, on the addon's own thread. */
export async function compute(
  model: WeTr,
  image: PixelImage,
  scales: readonly number[],
  device: Device,
): Promise<Prediction> {
  const { height, width } = image;
  const pixels = height * width;
  const [cls, seg, cam] = await queue(model, image, scales, device).then((out) => {
    if (out[3]) process.emitWarning(out[3]);
    return [take(out[0]), take(out[1]), take(out[2])] as const;
  });
  const scores = Array.from(cls.values, (logit) => 1 / (1 + Math.exp(-logit)));
  const cams = scores.map((_, c) => cam.values.slice(c * pixels, (c + 1) * pixels));
  const [, classes, h, w] = seg.shape as [number, number, number, number];
  return {
    score: Math.max(...scores),
    scores,
    cam:
      cams.length === 1
        ? cams[0]!
        : Float32Array.from(cams[0]!, (_, i) => Math.max(...cams.map((m) => m[i]!))),
    cams,
    segmentation: labelMap(seg.values, [classes, h, w], height, width),
    height,
    width,
  };
}
