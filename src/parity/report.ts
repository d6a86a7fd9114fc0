import type { Tensor } from '../tensor/index.js';

export interface TensorReport {
  maxAbs: number;
  /** max|a-b| / max|b|; for label maps the share of differing pixels. */
  maxRel: number;
  ok: boolean;
  /** Where float32 leaves part of the number undetermined: what was allowed for, and why. */
  note?: string;
}

export interface ParityReport {
  file: string;
  ok: boolean;
  worst: { name: string; rel: number };
  tensors: Record<string, TensorReport>;
}

/** Agreement asked for by the reference notes. */
export const TOLERANCE = { float: 1e-4, labels: 1e-3, parameterChange: 1e-3 };

/** Collects comparisons of ours against the reference's; every failure and every size mismatch shows. */
export class Comparison {
  readonly tensors: Record<string, TensorReport> = {};

  /** @param slack factor on every tolerance */
  constructor(readonly slack = 1) {}

  #add(name: string, maxAbs: number, maxRel: number, tolerance: number, note?: string): void {
    // NaN compares false, so it fails.
    this.tensors[name] = { maxAbs, maxRel, ok: maxRel <= tolerance * this.slack, ...(note ? { note } : {}) };
  }

  /** @param rounding differences up to this size are rounding of what was summed, not of what is left of it */
  numbers(
    name: string,
    ours: ArrayLike<number>,
    theirs: ArrayLike<number>,
    tolerance = TOLERANCE.float,
    rounding = 0,
  ): void {
    if (ours.length !== theirs.length) {
      this.#add(name, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, tolerance);
      return;
    }
    let [difference, scale] = [0, 0];
    for (let i = 0; i < theirs.length; i++) {
      const d = Math.abs(ours[i]! - theirs[i]!);
      if (!(d <= difference)) difference = d;
      scale = Math.max(scale, Math.abs(theirs[i]!));
    }
    const relative = difference === 0 ? 0 : difference / (scale || 1);
    if (relative <= tolerance * this.slack || !(difference <= rounding * this.slack)) {
      this.#add(name, difference, relative, tolerance);
      return;
    }
    const note = `a sum that cancels: ${relative.toExponential(1)} of what is left is the rounding of its terms`;
    this.#add(name, difference, 0, tolerance, note);
  }

  number(name: string, ours: number, theirs: number, tolerance = TOLERANCE.float, rounding = 0): void {
    this.numbers(name, [ours], [theirs], tolerance, rounding);
  }

  floats(name: string, ours: Tensor, theirs: Tensor, tolerance = TOLERANCE.float, rounding = 0): void {
    const same = ours.shape.join() === theirs.shape.join();
    this.numbers(name, same ? ours.toFloat32() : [], theirs.toFloat32(), tolerance, rounding);
  }

  /** A number of which only a range is determined: how far theirs lies outside it. */
  range(
    name: string,
    [low, high]: readonly [number, number],
    theirs: number,
    tolerance: number,
    note: string,
  ): void {
    const outside = Math.max(0, low - theirs, theirs - high);
    this.#add(name, outside, outside / (theirs || 1), tolerance, note);
  }

  labels(name: string, ours: Tensor, theirs: Tensor): void {
    const [a, b] = [ours.toFloat32(), theirs.toFloat32()];
    if (a.length !== b.length) {
      this.#add(name, Number.POSITIVE_INFINITY, 1, TOLERANCE.labels);
      return;
    }
    let [differing, largest] = [0, 0];
    for (let i = 0; i < b.length; i++) {
      if (a[i] === b[i]) continue;
      differing += 1;
      largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
    }
    this.#add(name, largest, differing / b.length, TOLERANCE.labels);
  }

  report(file: string): ParityReport {
    const worst = { name: '', rel: -1 };
    for (const [name, { maxRel }] of Object.entries(this.tensors)) {
      if (!(maxRel <= worst.rel)) Object.assign(worst, { name, rel: maxRel });
    }
    const ok = Object.keys(this.tensors).length > 0 && Object.values(this.tensors).every((t) => t.ok);
    return { file, ok, worst, tensors: this.tensors };
  }
}
