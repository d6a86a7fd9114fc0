import type { WeightedScores } from './bootstrap.js';

/**
 * Scores of several classes together with their unweighted mean over classes, scikit-learn's "macro". A class for
 * which a score does not exist is left out of that score's mean, in each replicate anew.
 *
 * The order of the scores: the means, then those of the first class, the second, ...
 */
export class MacroScores implements WeightedScores {
  readonly size: number;
  readonly #each: number;

  /** @param classes at least one, all with the same scores in the same order */
  constructor(readonly classes: readonly WeightedScores[]) {
    this.#each = classes[0]!.size;
    this.size = this.#each * (classes.length + 1);
  }

  compute(weights: Float64Array, out: Float64Array): void {
    const each = this.#each;
    for (const [c, one] of this.classes.entries()) {
      one.compute(weights, out.subarray((c + 1) * each, (c + 2) * each));
    }
    for (let s = 0; s < each; s++) {
      let sum = 0;
      let defined = 0;
      for (let at = each + s; at < this.size; at += each) {
        if (Number.isNaN(out[at]!)) continue;
        sum += out[at]!;
        defined++;
      }
      out[s] = sum / defined;
    }
  }

  whyUndefined(index: number): string {
    const score = index % this.#each;
    const c = Math.floor(index / this.#each) - 1;
    if (c >= 0) return this.classes[c]!.whyUndefined(score);
    const why = this.classes[0]!.whyUndefined(score);
    return this.classes.length === 1 ? why : `no class has this score; of the first, ${why}`;
  }
}
