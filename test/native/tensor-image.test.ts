/** Resizing, pooling and padding of images against their definitions. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scope, Tensor } from '../../src/tensor/index.js';
import { expectClose, facts, numbers } from './support.js';

const run = (name: string, body: () => void) => it(name, () => scope(body));
const side = fc.integer({ min: 1, max: 7 });
const image = (h: number, w: number) =>
  Tensor.from(
    Float64Array.from({ length: h * w }, (_, i) => Math.cos(3.7 * i)),
    [1, 1, h, w],
  );

/** Bilinear sampling of one plane; where position p of the output lies in the input is `at`'s to say. */
function bilinear(
  x: number[],
  [h, w]: [number, number],
  [H, W]: [number, number],
  aligned: boolean,
): number[] {
  const at = (p: number, from: number, to: number) => {
    if (aligned) return to > 1 ? (p * (from - 1)) / (to - 1) : 0;
    return Math.max(0, ((p + 0.5) * from) / to - 0.5);
  };
  const out: number[] = [];
  for (let r = 0; r < H; r++)
    for (let c = 0; c < W; c++) {
      const [y, z] = [at(r, h, H), at(c, w, W)];
      const [y0, z0] = [Math.min(Math.floor(y), h - 1), Math.min(Math.floor(z), w - 1)];
      const [y1, z1] = [Math.min(y0 + 1, h - 1), Math.min(z0 + 1, w - 1)];
      const [fy, fz] = [y - y0, z - z0];
      const top = x[y0 * w + z0]! * (1 - fz) + x[y0 * w + z1]! * fz;
      const bottom = x[y1 * w + z0]! * (1 - fz) + x[y1 * w + z1]! * fz;
      out.push(top * (1 - fy) + bottom * fy);
    }
  return out;
}

describe('interpolate', () => {
  it('bilinear, with half-pixel centres or aligned corners, at any sizes', () => {
    fc.assert(
      fc.property(side, side, side, side, fc.boolean(), (h, w, H, W, aligned) =>
        scope(() => {
          const x = image(h, w);
          const out = x.interpolate([H, W], 'bilinear', aligned);
          expect(out.shape).toEqual([1, 1, H, W]);
          expectClose(numbers(out), bilinear(numbers(x), [h, w], [H, W], aligned), 1e-12);
        }),
      ),
      { numRuns: 300 },
    );
  });

  it('nearest takes floor(position * from / to)', () => {
    fc.assert(
      fc.property(side, side, side, side, (h, w, H, W) =>
        scope(() => {
          const x = image(h, w);
          const values = numbers(x);
          const expected = Array.from({ length: H * W }, (_, i) => {
            const [r, c] = [Math.floor(i / W), i % W];
            return values[Math.floor((r * h) / H) * w + Math.floor((c * w) / W)];
          });
          expect(numbers(x.interpolate([H, W], 'nearest'))).toEqual(expected);
        }),
      ),
    );
  });

  run('resizes every channel of every image alone', () => {
    const x = Tensor.arange(0, 2 * 3 * 2 * 2).reshape(2, 3, 2, 2);
    const out = x.interpolate([4, 4]);
    expect(out.shape).toEqual([2, 3, 4, 4]);
    const alone = x.narrow(0, 1, 1).narrow(1, 2, 1).interpolate([4, 4]);
    expect(numbers(out.narrow(0, 1, 1).narrow(1, 2, 1))).toEqual(numbers(alone));
  });
});

describe('adaptive pooling', () => {
  it('pools rows floor(i h / H) to ceil((i + 1) h / H), and columns alike', () => {
    const cells = (i: number, from: number, to: number) => {
      const [start, end] = [Math.floor((i * from) / to), Math.ceil(((i + 1) * from) / to)];
      return Array.from({ length: end - start }, (_, k) => start + k);
    };
    fc.assert(
      fc.property(side, side, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), (h, w, H, W) =>
        scope(() => {
          const x = image(h, w);
          const values = numbers(x);
          const windows = Array.from({ length: H * W }, (_, i) =>
            cells(Math.floor(i / W), h, H).flatMap((r) => cells(i % W, w, W).map((c) => values[r * w + c]!)),
          );
          expectClose(
            numbers(x.adaptiveMaxPool2d([H, W])),
            windows.map((v) => Math.max(...v)),
            0,
          );
          const means = windows.map((v) => v.reduce((a, b) => a + b, 0) / v.length);
          expectClose(numbers(x.adaptiveAvgPool2d([H, W])), means, 1e-12);
        }),
      ),
    );
  });
});

describe('pad', () => {
  const x = () => Tensor.from([1, 2, 3, 4], [1, 1, 2, 2]);

  run('counts left, right, top, bottom', () => {
    expect(facts(x().pad([1, 0, 0, 2]))).toMatchObject({
      shape: [1, 1, 4, 3],
      values: [0, 1, 2, 0, 3, 4, 0, 0, 0, 0, 0, 0],
    });
  });

  run('fills with a value, replicates or reflects', () => {
    expect(numbers(x().pad([1, 0], 'constant', -1))).toEqual([-1, 1, 2, -1, 3, 4]);
    expect(numbers(x().pad([2, 1, 0, 0], 'replicate'))).toEqual([1, 1, 1, 2, 2, 3, 3, 3, 4, 4]);
    expect(numbers(x().pad([1, 1, 0, 0], 'reflect'))).toEqual([2, 1, 2, 1, 4, 3, 4, 3]);
  });

  run('cuts where the padding is negative', () => {
    expect(numbers(x().pad([-1, 0, 0, 0]))).toEqual([2, 4]);
  });
});
