import type { WeTr } from '../models/wetr.js';

/** Share of a tensor's largest gradient below which an element's gradient is noise around zero. */
const NOISE = 1e-6;

/**
 * Elements whose gradient is zero in exact arithmetic: softmax does not see a shift of its logits, so the key
 * half of an attention bias has none. AdamW divides by the gradient's own size and makes steps of up to the
 * learning rate from its rounding, in the original as here, and differently on every machine.
 */
export class NoiseTracker {
  readonly #quiet = new Map<string, boolean[]>();
  #reach = 0;

  constructor(readonly model: WeTr) {
    for (const [name, parameter] of model.parameters())
      if (name.endsWith('.kv.bias')) this.#quiet.set(name, new Array(parameter.numel).fill(true));
  }

  /** Between backward() and step(). */
  observe(learningRate: number): void {
    this.#reach += learningRate;
    for (const [name, quiet] of this.#quiet) {
      const gradient = this.model.parameters().get(name)!.grad!.toFloat32();
      const largest = gradient.reduce((max, g) => Math.max(max, Math.abs(g)), 0);
      for (const [i, g] of gradient.entries()) if (Math.abs(g) > NOISE * largest) quiet[i] = false;
    }
  }

  /**
   * The norms that a parameter may have, or with `start` 0 its change: elements without a gradient lie anywhere within
   * full steps of where they started. Undefined when all of it is determined.
   */
  range(
    name: string,
    values: Float32Array,
    start: (i: number) => number,
  ): { range: [number, number]; note: string } | undefined {
    const quiet = this.#quiet.get(name);
    const count = quiet?.filter(Boolean).length ?? 0;
    if (!quiet || count === 0) return undefined;
    let [least, most] = [0, 0];
    for (const [i, value] of values.entries()) {
      const size = Math.abs(quiet[i] ? start(i) : value);
      const reach = quiet[i] ? this.#reach : 0;
      least += Math.max(0, size - reach) ** 2;
      most += (size + reach) ** 2;
    }
    return {
      range: [Math.sqrt(least), Math.sqrt(most)],
      note: `${count} of ${quiet.length} elements have no gradient but rounding; a range is compared`,
    };
  }
}
