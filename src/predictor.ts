/** Inference for programs that embed a trained model. */
import { describeValue, expected, UsageError } from './config/errors.js';
import { fieldAt } from './config/keys.js';
import type { IntensityRule } from './datasets/intensity.js';
import type { PixelImage } from './datasets/sample.js';
import { stretch } from './export/attention-maps.js';
import { overlayCam } from './export/heatmap.js';
import { encodePng, writePng } from './export/png.js';
import { WeTr, type WeTrOptions } from './models/wetr.js';
import { compute, type Prediction } from './predictor/compute.js';
import { type ImageInput, loadImage, toRgbPixels } from './predictor/image.js';
import { inferModelOptions } from './predictor/model-options.js';
import { loadCheckpoint } from './predictor/weights.js';
import { type Device, pauseConvolutionTiming, setNumThreads } from './tensor/index.js';
import { getDevice } from './training/device.js';

/** What a checkpoint does not tell, or an embedder may choose. */
export interface PredictorOptions extends Pick<WeTrOptions, 'pooling' | 'stride' | 'amp'> {
  /** Scales of the class activation map; scale 1 always runs. Default [1, 0.5, 1.5]. */
  scales?: readonly number[];
  /** `dataset.intensity` of the training: a checkpoint does not tell it. Default 'raw'. */
  intensity?: IntensityRule;
  /** Default: the best there is (CUDA, then MPS, then CPU). */
  device?: Device;
  /** CPU threads, of all of the process's tensor computing. Default: one for each core. */
  threads?: number;
  /** Told of slices whose values are off the 0..255 scale. Default: process.emitWarning. */
  onWarning?: (message: string) => void;
}

/** Sides below it leave the deepest stage hardly any positions. */
const SMALLEST_SIDE = 64;

/** @throws UsageError that names the option */
function checkOptions({ pooling, stride, scales, intensity, amp, threads }: PredictorOptions): void {
  const refuse = (what: string, where: string, value: unknown) => {
    throw new UsageError(`${expected(what, where, value)}.`);
  };
  if (pooling !== undefined && pooling !== 'gmp' && pooling !== 'gap')
    refuse("'gmp' or 'gap'", 'pooling', pooling);
  if (amp !== undefined && amp !== 'none' && amp !== 'bf16') refuse("'none' or 'bf16'", 'amp', amp);
  const isCount = (n: unknown) => Number.isInteger(n) && (n as number) > 0;
  if (stride !== undefined && !(Array.isArray(stride) && stride.length === 4 && stride.every(isCount)))
    refuse('four positive integers', 'stride', stride);
  const isScale = (s: unknown) => Number.isFinite(s) && (s as number) > 0;
  if (scales !== undefined && !(Array.isArray(scales) && scales.length > 0 && scales.every(isScale)))
    refuse('a list of factors above 0', 'scales', scales);
  if (threads !== undefined && !isCount(threads)) refuse('a positive integer', 'threads', threads);
  const rule = fieldAt('dataset.intensity')!.safeParse(intensity);
  if (!rule.success) refuse(rule.error.issues[0]!.message, 'intensity', intensity);
}

/**
 * A trained model that predicts without blocking the event loop: checkpoints are parsed in a worker thread, networks
 * run on the addon's own thread. Predictions come in the order they were asked for, one at a time.
 * Every fault is a rejected promise.
 *
 *     const predictor = await Predictor.load('work_dir/checkpoints/best.pth');
 *     const { score, cam } = await predictor.predict('slice.npy');
 */
export class Predictor {
  readonly #model: WeTr;
  readonly #scales: readonly number[];
  readonly #warn: (message: string) => void;
  readonly #intensity: IntensityRule;
  readonly device: Device;
  /** Settled when all that was asked so far is done. */
  #last: Promise<void> = Promise.resolve();
  #disposed = false;

  private constructor(model: WeTr, device: Device, options: PredictorOptions) {
    this.#model = model;
    this.device = device;
    this.#intensity = options.intensity ?? 'raw';
    this.#scales = options.scales ?? [1, 0.5, 1.5];
    this.#warn = options.onWarning ?? ((message) => process.emitWarning(message));
  }

  /**
   * Loads a checkpoint; backbone and class count are read off its names and shapes. Pooling and stride leave no trace
   * there: where training changed them from gmp and [4, 2, 2, 1], give the same values here, or scores will be wrong.
   * @param path best.pth, wetr_iter_N.pth or last.pth, or the same weights as .safetensors
   * @throws FileAccessError, FileFormatError for the file; UsageError for its content or an option
   */
  static async load(path: string, options: PredictorOptions = {}): Promise<Predictor> {
    checkOptions(options);
    const device = getDevice(options.device);
    if (options.threads !== undefined) setNumThreads(options.threads);
    const weights = await loadCheckpoint(path);
    const { pooling, stride, amp } = options;
    const model = new WeTr({
      ...inferModelOptions(weights, path),
      ...(pooling && { pooling }),
      ...(stride && { stride }),
      ...(amp && { amp }),
    });
    try {
      model.loadStateDict(weights, path);
      pauseConvolutionTiming(); // for good: an embedder's images are of any size
      return new Predictor(model.to(device).eval(), device, options);
    } catch (error) {
      model.dispose();
      throw error;
    }
  }

  /** mit_b0 ... mit_b5 */
  get backbone(): string {
    return this.#model.options.backbone;
  }
  /** Classes with background. */
  get numClasses(): number {
    return this.#model.options.numClasses;
  }

  /**
   * Scores an image and maps where its classes are.
   * @param image pixels on the 0..255 scale (read when its turn comes: leave them alone until then), or the path of a
   * .npy slice, a .png or a .jpg; at least 64 pixels a side
   * @throws UsageError, FileAccessError for the image; Error after dispose()
   */
  predict(image: ImageInput): Promise<Prediction> {
    const result = this.#last.then(() => this.#predict(image));
    this.#last = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  /**
   * Draws a map over its image, as `gen-attn` does.
   * @param cam [height * width], stretched to the full range of colours
   * @returns the bytes of a PNG file
   */
  async heatmap(image: ImageInput, cam: Float32Array): Promise<Uint8Array> {
    const { rgb, height, width } = await this.#overlay(image, cam);
    return encodePng(rgb, height, width);
  }

  /** As heatmap, into a file that appears whole or not at all. */
  async saveHeatmap(path: string, image: ImageInput, cam: Float32Array): Promise<void> {
    const { rgb, height, width } = await this.#overlay(image, cam);
    await writePng(path, rgb, height, width);
  }

  /** Frees the model. A prediction under way still comes; those that wait are refused. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#model.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }

  async #predict(image: ImageInput): Promise<Prediction> {
    this.#refuseDisposed();
    const pixels = await loadImage(image, this.#warn, this.#intensity);
    this.#refuseDisposed();
    this.#refuseSmall(pixels, image);
    return compute(this.#model, pixels, this.#scales, this.device);
  }

  async #overlay(image: ImageInput, cam: Float32Array) {
    const pixels = await loadImage(image, this.#warn, this.#intensity);
    const { height, width } = pixels;
    if (!(cam instanceof Float32Array) || cam.length !== height * width)
      throw new UsageError(
        `Expected a Float32Array of ${height * width} values (${height} x ${width}) for cam but received ${describeValue(cam)}.`,
      );
    return { rgb: overlayCam(toRgbPixels(pixels), stretch(cam)), height, width };
  }

  #refuseDisposed(): void {
    if (this.#disposed)
      throw new Error('Expected a loaded Predictor for predict() but this one is disposed. Load it again.');
  }

  #refuseSmall({ height, width }: PixelImage, image: ImageInput): void {
    // The first stage reduces its keys by an 8x8 convolution: 8 positions must be left at the smallest scale.
    const needed = (7 * this.#model.options.stride[0]! + 1) / Math.min(1, ...this.#scales);
    const smallest = Math.max(SMALLEST_SIDE, Math.ceil(needed));
    if (Math.min(height, width) >= smallest) return;
    const source = typeof image === 'string' ? image : 'image';
    throw new UsageError(
      `Expected at least ${smallest}x${smallest} pixels for ${source} but received ${height}x${width}. Enlarge it first.`,
    );
  }
}
