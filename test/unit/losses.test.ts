/** Losses against their formulas in plain loops; against PyTorch where a Python with it is found. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  getAffLoss,
  getSegLoss,
  multilabelSoftMarginLoss,
  PAIR,
  pairCounts,
} from '../../src/losses/index.js';
import { scope, Tensor } from '../../src/tensor/index.js';
import { expectClose, numbers } from '../native/support.js';
import { findPython, runPython } from '../oracles/python.js';

const run = (name: string, body: () => void) => it(name, () => scope(body));
const wave = (size: number) => Float64Array.from({ length: size }, (_, i) => 2 * Math.sin(7.3 * i + 1));
const int64 = (values: number[], shape: number[]) => Tensor.from(BigInt64Array.from(values, BigInt), shape);
const leaf = (values: Float64Array, shape: number[]) =>
  Object.assign(Tensor.from(values, shape), { requiresGrad: true });

describe('multilabelSoftMarginLoss', () => {
  /** Mean over classes, then over images, of -y log σ(x) - (1 - y) log(1 - σ(x)). */
  const formula = (x: ArrayLike<number>, y: number[]) =>
    y.reduce((sum, label, i) => {
      const p = 1 / (1 + Math.exp(-x[i]!));
      return sum - (label ? Math.log(p) : Math.log(1 - p));
    }, 0) / y.length;

  run('follows its formula', () => {
    const [x, y] = [wave(6), [1, 0, 1, 0, 0, 1]];
    const labels = Tensor.from(Float64Array.from(y), [2, 3]);
    expect(multilabelSoftMarginLoss(Tensor.from(x, [2, 3]), labels).item()).toBeCloseTo(formula(x, y), 12);
  });

  run('is log 2 where nothing is known, and finite far out', () => {
    expect(multilabelSoftMarginLoss(Tensor.zeros([4, 1]), Tensor.ones([4, 1])).item()).toBeCloseTo(
      Math.LN2,
      6,
    );
    const far = multilabelSoftMarginLoss(Tensor.from([1000, -1000], [2, 1]), Tensor.from([0, 1], [2, 1]));
    expect(far.item()).toBe(1000);
  });

  run('has the gradient (σ(x) - y) / count', () => {
    const x = leaf(wave(4), [4, 1]);
    multilabelSoftMarginLoss(x, Tensor.from(Float64Array.of(1, 0, 0, 1), [4, 1])).backward();
    const expected = [1, 0, 0, 1].map((y, i) => (1 / (1 + Math.exp(-wave(4)[i]!)) - y) / 4);
    expectClose(numbers(x.grad!), expected, 1e-12);
  });
});

/** Half the mean of -log softmax over background pixels plus half that over labelled others; 0 for none. */
function segFormula(
  logits: ArrayLike<number>,
  label: number[],
  [B, C, P]: [number, number, number],
  ignore: number,
) {
  const sums = { background: 0, foreground: 0 };
  const counts = { background: 0, foreground: 0 };
  for (let b = 0; b < B; b++)
    for (let p = 0; p < P; p++) {
      const target = label[b * P + p]!;
      if (target === ignore) continue;
      const kind = target === 0 ? 'background' : 'foreground';
      const at = (c: number) => logits[(b * C + c) * P + p]!;
      const all = Array.from({ length: C }, (_, c) => Math.exp(at(c))).reduce((x, y) => x + y, 0);
      sums[kind] += Math.log(all) - at(target);
      counts[kind] += 1;
    }
  const mean = (kind: keyof typeof sums) => (counts[kind] ? sums[kind] / counts[kind] : 0);
  return { loss: (mean('background') + mean('foreground')) / 2, counts };
}

describe('getSegLoss', () => {
  it('follows its formula for any labels, and counts pixels', () => {
    const labels = fc.array(fc.constantFrom(0, 0, 1, 2, 255), { minLength: 2 * 12, maxLength: 2 * 12 });
    fc.assert(
      fc.property(labels, (label) =>
        scope(() => {
          const logits = wave(2 * 3 * 12);
          const { loss, foreground, background } = getSegLoss(
            Tensor.from(logits, [2, 3, 3, 4]),
            int64(label, [2, 3, 4]),
          );
          const expected = segFormula(logits, label, [2, 3, 12], 255);
          expect(loss.item()).toBeCloseTo(expected.loss, 10);
          expect({ foreground, background }).toEqual(expected.counts);
        }),
      ),
    );
  });

  // The original's mean of nothing is NaN, and with it the whole loss.
  it.each<[string, number[], { foreground: number; background: number }]>([
    ['no foreground', [0, 0, 255, 0], { foreground: 0, background: 3 }],
    ['no background', [1, 255, 2, 2], { foreground: 3, background: 0 }],
    ['nothing but ignored pixels', [255, 255, 255, 255], { foreground: 0, background: 0 }],
  ])('of %s is finite, as are its gradients', (_, label, counts) =>
    scope(() => {
      const logits = leaf(wave(3 * 4), [1, 3, 2, 2]);
      const { loss, foreground, background } = getSegLoss(logits, int64(label, [1, 2, 2]));
      expect(loss.item()).toBeCloseTo(segFormula(wave(12), label, [1, 3, 4], 255).loss, 10);
      expect({ foreground, background }).toEqual(counts);
      loss.backward();
      expect(logits.grad!.isfinite().all()).toBe(true);
      // Ignored pixels pull at nothing.
      const moved = numbers(logits.grad!.abs().sum(1));
      expect(moved.map((v) => v > 0)).toEqual(label.map((l) => l !== 255));
    }),
  );

  run('takes another ignored number', () => {
    const logits = Tensor.from(wave(4), [1, 2, 1, 2]);
    const at255 = getSegLoss(logits, int64([1, 255], [1, 1, 2])).loss.item();
    expect(getSegLoss(logits, int64([1, 9], [1, 1, 2]), 9).loss.item()).toBe(at255);
  });

  run('leaves the label alone', () => {
    const label = int64([0, 1, 255, 0], [1, 2, 2]);
    getSegLoss(Tensor.zeros([1, 2, 2, 2]), label);
    expect(numbers(label)).toEqual([0, 1, 255, 0]);
  });
});

describe('getAffLoss', () => {
  it('follows its formula: counts start at one', () => {
    const labels = fc.array(fc.constantFrom(0, 1, 255), { minLength: 18, maxLength: 18 });
    fc.assert(
      fc.property(labels, (label) =>
        scope(() => {
          const affinity = wave(18).map((v) => 1 / (1 + Math.exp(-v)));
          const { loss, posCount, negCount } = getAffLoss(
            Tensor.from(affinity, [2, 3, 3]),
            Tensor.from(Uint8Array.from(label), [2, 3, 3]),
          );
          const of = (wanted: number) => [...affinity].filter((_, i) => label[i] === wanted);
          const [positive, negative] = [of(1), of(0)];
          const total = (values: number[]) => values.reduce((a, b) => a + b, 0);
          expect([posCount, negCount]).toEqual([positive.length + 1, negative.length + 1]);
          const expected = (total(positive.map((a) => 1 - a)) / posCount + total(negative) / negCount) / 2;
          expect(loss.item()).toBeCloseTo(expected, 10);
        }),
      ),
    );
  });

  run('of no pairs is 0, with zero gradients', () => {
    const affinity = leaf(wave(4).map(Math.abs), [1, 2, 2]);
    const { loss } = getAffLoss(affinity, Tensor.full([1, 2, 2], 255, 'uint8'));
    expect(loss.item()).toBe(0);
    loss.backward();
    expect(numbers(affinity.grad!)).toEqual([0, 0, 0, 0]);
  });

  run('pulls positive pairs up and negative pairs down by half over the count', () => {
    const affinity = leaf(Float64Array.of(0.2, 0.4, 0.6, 0.8), [1, 2, 2]);
    getAffLoss(affinity, Tensor.from(Uint8Array.of(1, 0, 255, 0), [1, 2, 2])).loss.backward();
    expectClose(numbers(affinity.grad!), [-0.5 / 2, 0.5 / 3, 0, 0.5 / 3], 1e-12);
  });
});

describe('getAffLoss by kind', () => {
  it('is a quarter of each mean over like pairs and half of that over unlike ones: counts start at one', () => {
    const labels = fc.array(fc.constantFrom(...Object.values(PAIR)), { minLength: 18, maxLength: 18 });
    fc.assert(
      fc.property(labels, (label) =>
        scope(() => {
          const affinity = wave(18).map((v) => 1 / (1 + Math.exp(-v)));
          const pairs = Tensor.from(Uint8Array.from(label), [2, 3, 3]);
          const out = getAffLoss(Tensor.from(affinity, [2, 3, 3]), pairs, undefined, 'kinds');
          const of = (kind: number) => [...affinity].filter((_, i) => label[i] === kind);
          const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / (values.length + 1);
          const [object, background] = [PAIR.same, PAIR.sameBackground].map((kind) =>
            of(kind).map((a) => 1 - a),
          );
          const unlike = of(PAIR.different);
          expect(out.loss.item()).toBeCloseTo((mean(object!) + mean(background!)) / 4 + mean(unlike) / 2, 10);
          expect([out.posCount, out.negCount]).toEqual([
            object!.length + background!.length + 1,
            unlike.length + 1,
          ]);
          expect(numbers(pairCounts(pairs, 'kinds'))).toEqual(
            [object!, unlike, background!].map(({ length }) => length),
          );
        }),
      ),
    );
  });

  run('a small object’s own pairs weigh as much as all of the background’s', () => {
    // Two cells of 36: 4 pairs of the object, 1156 of background, 136 of both.
    const isObject = (cell: number) => cell === 14 || cell === 15;
    const kind = (i: number, j: number) => (isObject(i) !== isObject(j) ? 0 : isObject(i) ? 1 : 2);
    const kinds = Uint8Array.from({ length: 36 * 36 }, (_, k) => kind(Math.floor(k / 36), k % 36));
    const pull = (label: Uint8Array, balance: 'pairs' | 'kinds') => {
      const affinity = leaf(new Float64Array(36 * 36).fill(0.5), [1, 36, 36]);
      getAffLoss(affinity, Tensor.from(label, [1, 36, 36]), undefined, balance).loss.backward();
      const gradient = numbers(affinity.grad!);
      return [1, 2, 0].map((of) =>
        gradient.reduce((sum, g, k) => (kinds[k] === of ? sum + Math.abs(g) : sum), 0),
      );
    };
    const original = kinds.map((k) => (k === PAIR.sameBackground ? PAIR.same : k));
    expectClose(pull(original, 'pairs'), [4 / 1161 / 2, 1156 / 1161 / 2, 136 / 137 / 2], 1e-12);
    expectClose(pull(kinds, 'kinds'), [4 / 5 / 4, 1156 / 1157 / 4, 136 / 137 / 2], 1e-12);
  });
});

const torch = findPython(['torch']);
describe.skipIf(!torch)('PyTorch agrees', () => {
  const SCRIPT = `
import json, sys, torch, torch.nn.functional as F
t = lambda v, *s: torch.tensor(v, dtype=torch.float64).reshape(s)
def losses(d):
    x, label = t(d['logits'], 2, 3, 3, 4).requires_grad_(), torch.tensor(d['label']).reshape(2, 3, 4)
    parts = [F.cross_entropy(x, torch.where(keep, label, 255), ignore_index=255) for keep in (label == 0, label != 0)]
    seg = sum(p for p in parts if not p.isnan()) / 2
    seg.backward()
    multi = F.multilabel_soft_margin_loss(t(d['scores'], 4, 3), t(d['classes'], 4, 3))
    return {'nan': [bool(p.isnan()) for p in parts], 'seg': seg.item(), 'grad': x.grad.flatten().tolist(), 'multi': multi.item()}
print(json.dumps([losses(d) for d in json.loads(sys.argv[1])]))
`;
  const [logits, scores] = [wave(72), wave(12)];
  const classes = Array.from({ length: 12 }, (_, i) => Number(i % 3 === 0));
  const CASES: [name: string, pattern: number[], nan: boolean[]][] = [
    ['both kinds of pixels', [0, 1, 2, 255], [false, false]],
    ['no foreground, where torch alone gives NaN', [0, 255], [false, true]],
    ['no background, where torch alone gives NaN', [2, 1, 255], [true, false]],
  ];
  const labels = CASES.map(([, pattern]) =>
    Array.from({ length: 24 }, (_, i) => pattern[(i * 5) % pattern.length]!),
  );
  let expected: { nan: boolean[]; seg: number; grad: number[]; multi: number }[];
  beforeAll(() => {
    // `import torch` takes seconds: one run for all.
    const inputs = labels.map((label) => ({ label, logits: [...logits], scores: [...scores], classes }));
    expected = JSON.parse(runPython(torch!, SCRIPT, [JSON.stringify(inputs)]));
  });

  it.each(CASES.map(([name, , nan], i) => [name, nan, i] as const))('on %s', (_, nan, i) =>
    scope(() => {
      expect(expected[i]!.nan).toEqual(nan);
      const x = leaf(logits, [2, 3, 3, 4]);
      const { loss } = getSegLoss(x, int64(labels[i]!, [2, 3, 4]));
      loss.backward();
      expect(loss.item()).toBeCloseTo(expected[i]!.seg, 12);
      expectClose(numbers(x.grad!), expected[i]!.grad, 1e-12);
      const wanted = Tensor.from(Float64Array.from(classes), [4, 3]);
      const multi = multilabelSoftMarginLoss(Tensor.from(scores, [4, 3]), wanted);
      expect(multi.item()).toBeCloseTo(expected[i]!.multi, 12);
    }),
  );
});
