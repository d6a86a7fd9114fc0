import { expected } from '../config/errors.js';
import { type DenseCrf, native } from '../native/index.js';
import { Tensor } from '../tensor/index.js';

/** Parameters of the fully-connected CRF, named as in the original (scripts/test_msc_flip.py). */
export interface CrfOptions {
  /** Steps of mean field; 0 gives the probabilities back, clipped at 1e-5. */
  iterations: number;
  /** Weight of the smoothness term, which sees position alone; 0 leaves the term out. */
  posW: number;
  /** Its standard deviation, in pixels. */
  posXyStd: number;
  /** Weight of the appearance term, which sees position and colour; 0 leaves the term out. */
  biW: number;
  /** Its standard deviation of position, in pixels. */
  biXyStd: number;
  /** Its standard deviation of each colour, in grey levels of 0..255. */
  biRgbStd: number;
}

/** What the original evaluates with. */
export const CRF_DEFAULTS: Readonly<CrfOptions> = {
  iterations: 10,
  posW: 3,
  posXyStd: 3,
  biW: 4,
  biXyStd: 64,
  biRgbStd: 5,
};

/** Calls `run` with what both of the addon's functions take; the image's tensor lives as long as the call. */
function withArguments<T>(
  rgb: Uint8Array,
  probabilities: Tensor,
  options: Partial<CrfOptions>,
  run: DenseCrf<T>,
): T {
  const probs = Tensor.handle(probabilities);
  const [, height, width] = probabilities.shape;
  if (!(rgb instanceof Uint8Array)) throw new TypeError(expected('a Uint8Array', 'rgb', rgb));
  if (probabilities.shape.length === 3 && rgb.length !== height! * width! * 3)
    throw new RangeError(
      `Expected ${height! * width! * 3} bytes (H * W * 3) for rgb beside probabilities of ${height} x ${width} ` +
        `but received ${rgb.length}`,
    );
  const o = { ...CRF_DEFAULTS, ...options };
  const shape = probabilities.shape.length === 3 ? [height!, width!, 3] : [rgb.length];
  const image = Tensor.from(rgb, shape);
  try {
    return run(Tensor.handle(image), probs, o.iterations, o.posW, o.posXyStd, o.biW, o.biXyStd, o.biRgbStd);
  } finally {
    image.dispose();
  }
}

/**
 * Sharpens class probabilities along the image's edges: mean field in a fully-connected CRF with Gaussian edge
 * potentials (Krähenbühl and Koltun, NIPS 2011), Potts compatibility, symmetric normalisation. Runs on the CPU;
 * the numbers do not depend on the number of threads.
 * @param rgb [H * W * 3], the image's own colours, 0..255
 * @param probabilities [C, H, W] float32, summing to 1 over C, C >= 2
 * @param options the original's values where left out
 * @returns [C, H, W] float32 on the CPU, summing to 1 over C
 * @throws TorchError (ERR_INVALID_ARG) for shapes, values or options out of range; RangeError for an image of
 * another size
 */
export function denseCrf(rgb: Uint8Array, probabilities: Tensor, options: Partial<CrfOptions> = {}): Tensor {
  return new Tensor(withArguments(rgb, probabilities, options, native.denseCrf));
}

/** The same on the addon's own thread, where Predictor computes: the event loop stays free. */
export async function denseCrfAsync(
  rgb: Uint8Array,
  probabilities: Tensor,
  options: Partial<CrfOptions> = {},
): Promise<Tensor> {
  const handle = await withArguments(rgb, probabilities, options, native.denseCrfAsync);
  return new Tensor(handle);
}
