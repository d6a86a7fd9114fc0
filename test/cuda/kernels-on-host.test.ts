/**
 * The fused CUDA kernels against the CPU path, without a GPU: what one thread does is plain C++, which g++ compiles into
 * a program that runs all threads in turn. Launch, streams, atomics and sums over a warp's lanes are not covered:
 * on-gpu.test.ts does on a GPU.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affinityLabel, propagateCams } from '../../src/cam/affinity.js';
import { softmaxWithBackground } from '../../src/cam/pseudo-labels.js';
import { getMaskByRadius } from '../../src/cam/radius-mask.js';
import { refineInBoxes } from '../../src/cam/refine.js';
import type { BatchPixels } from '../../src/loading/batch.js';
import { batchImages } from '../../src/loading/batch-images.js';
import { BYTE_TABLE } from '../../src/loading/normalize.js';
import { hashSeed, Random } from '../../src/loading/random.js';
import { getAffLoss } from '../../src/losses/index.js';
import { scope, setupSeed, Tensor } from '../../src/tensor/index.js';
import { expectClose, numbers } from '../native/support.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const compiler = process.env.CXX ?? 'g++';
const missing = spawnSync(compiler, ['--version']).error ? `no C++ compiler (${compiler})` : undefined;

const folder = mkdtempSync(join(tmpdir(), 'afa-kernels-'));
const program = join(folder, 'kernels_on_host');
beforeAll(() => {
  if (missing) return;
  const source = join(repository, 'test/cuda/kernels_on_host.cc');
  // Sums are compared to the last bit with libtorch's, which multiplies and adds apart.
  const flags = [
    '-std=c++20',
    '-O1',
    '-ffp-contract=off',
    '-Wall',
    '-Werror',
    '-I',
    join(repository, 'native'),
  ];
  // A read beside an array or an integer that overflows ends the program, where the compiler has its sanitizers.
  const watched = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  const { status } = spawnSync(compiler, [...flags, ...watched, source, '-o', program]);
  if (status !== 0) execFileSync(compiler, [...flags, source, '-o', program]);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Values = Float32Array | Int32Array | Uint8Array | BigInt64Array;
const floats = (tensor: Tensor) => tensor.contiguous().toFloat32();

function host(op: string, sizes: readonly number[], ...input: Values[]): Buffer {
  const bytes = input.map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength));
  const { status, stdout } = spawnSync(program, [op, ...sizes.map(String)], {
    input: Buffer.concat(bytes),
    maxBuffer: 1 << 28,
  });
  expect(status).toBe(0);
  return stdout;
}
/** Of the value itself where that is above 1. */
const expectWithin = (actual: Float32Array, expected: readonly number[], tolerance: number) => {
  expect(actual).toHaveLength(expected.length);
  const off = expected.map((value, i) => Math.abs(actual[i]! - value) / Math.max(1, Math.abs(value)));
  expect(Math.max(...off)).toBeLessThan(tolerance);
};
const asFloats = (buffer: Buffer) => new Float32Array(Uint8Array.from(buffer).buffer);

/** 0.01 softmax(-(distance / (std + 1e-8) / 0.3)²) over the 8 neighbours of every dilation (AFA, equation 10). */
function neighbourhood(dilations: readonly number[]) {
  const shifts = dilations.flatMap((d) =>
    [-1, 0, 1].flatMap((dy) => [-1, 0, 1].filter((dx) => dy !== 0 || dx !== 0).map((dx) => [dy * d, dx * d])),
  );
  const distances = shifts.map(([dy, dx]) => Math.hypot(dy!, dx!));
  const mean = distances.reduce((sum, d) => sum + d, 0) / distances.length;
  const std = Math.sqrt(distances.reduce((sum, d) => sum + (d - mean) ** 2, 0) / (distances.length - 1));
  const logits = distances.map((d) => Math.exp(-((d / (std + 1e-8) / 0.3) ** 2)));
  const total = logits.reduce((sum, e) => sum + e, 0);
  return {
    shifts: Int32Array.from(shifts.flat()),
    position: Float32Array.from(logits, (e) => (0.01 * e) / total),
  };
}

describe.skipIf(missing)(`kernels on the CPU${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it.each([
    {
      size: [40, 56],
      channels: [2, 2],
      dilations: [1, 2, 4, 8, 12, 24],
      boxes: [0, 40, 0, 56, 3, 37, 8, 56],
    },
    { size: [33, 47], channels: [5, 5], dilations: [1, 3], boxes: [0, 33, 0, 47, 1, 32, 0, 45] },
    // A box of one pixel, one of one row, and one in a corner.
    { size: [17, 9], channels: [1], dilations: [1, 2, 24], boxes: [16, 17, 8, 9, 4, 5, 0, 9, 0, 7, 2, 5] },
  ])('PAR in boxes of $size, channels $channels', ({ size, channels, dilations, boxes }) =>
    scope(() => {
      const [h, w] = size as [number, number];
      const batch = boxes.length / 4;
      setupSeed(h);
      // Flat areas, in which deviations are exactly 0, beside noise.
      const noise = Tensor.rand([batch, 3, h, w]);
      const images = Tensor.where(noise.lt(0.3), 0.25, noise.mul(255).round().div(255));
      const masks = channels.map((c) => Tensor.rand([batch, c, h, w]));
      const corners = Int32Array.from(boxes);
      const refined = Tensor.cat(refineInBoxes(images, masks, corners, { dilations, numIter: 3 }), 1);

      const { shifts, position } = neighbourhood(dilations);
      const all = Tensor.cat(masks, 1);
      const sizes = [batch, all.shape[1]!, h, w, position.length, 3];
      const ours = asFloats(host('par', sizes, shifts, position, corners, floats(images), floats(all)));
      expect(ours).toHaveLength(refined.numel);
      expectClose(ours, numbers(refined), 2e-5);
    }),
  );

  it.each([
    [5, 7, 2, 2, 3],
    [8, 8, 8, 1, 8],
    [1, 13, 3, 5, 8],
  ])('one random-walk step on %i x %i, radius %i, %i classes, %i slices', (h, w, radius, classes, slices) =>
    scope(() => {
      setupSeed(w);
      const n = h * w;
      const affinity = Tensor.rand([2, n, n]);
      const cams = Tensor.rand([2, classes, h, w]);
      const labels = Tensor.ones([2, classes]);
      const thresholds = [0.55, 0.35];
      const walked = Tensor.cat(propagateCams(cams, affinity, labels, thresholds, radius), 1);

      const scores = Tensor.cat(
        thresholds.map((t) => softmaxWithBackground(cams, labels, t)),
        1,
      );
      const sizes = [2, scores.shape[1]!, h, w, radius, slices];
      expectClose(asFloats(host('walk', sizes, floats(affinity), floats(scores))), numbers(walked), 1e-5);
    }),
  );

  it.each([
    [64, 80, 4, 5, 2],
    [61, 97, 4, 7, 1],
    [5, 3, 7, 5, 8],
  ])('pair labels of %i x %i on a grid of %i x %i', (height, width, h, w, radius) =>
    scope(() => {
      setupSeed(height);
      const label = Tensor.where(
        Tensor.rand([2, height, width]).lt(0.2),
        255,
        Tensor.rand([2, height, width]).mul(3).floor(),
      ).to({ dtype: 'int64' });
      const near = getMaskByRadius(h, w, radius);
      const n = h * w;
      const expected = affinityLabel(label, [h, w], Tensor.from(near, [n, n], 'bool'), 255);
      const out = host('labels', [2, height, width, h, w, 255], near, label.data() as BigInt64Array);
      expect(Array.from(out)).toEqual(numbers(expected));
    }),
  );

  it.each([
    [3, 5, 7, 1],
    [2, 17, 33, 3],
    [1, 1, 1, 3],
    [4, 64, 50, 1],
  ])(
    'normalising %i images of %i x %i with %i channels, to the last bit',
    (count, height, width, channels) => {
      const random = new Random(hashSeed(width));
      const data = Uint8Array.from({ length: count * height * width * channels }, () => random.below(256));
      const mirrored = Uint8Array.from({ length: count }, (_, b) => Number(b % 3 === 0));
      const pixels: BatchPixels = { kind: 'bytes', data, channels: channels as 1 | 3, mirrored };
      using images = batchImages({ pixels, height, width });
      const sizes = [count, height, width, channels];
      expect(asFloats(host('normalize', sizes, data, mirrored, BYTE_TABLE))).toEqual(images.toFloat32());
    },
  );

  it('affinity sums, counts and gradient', () =>
    scope(() => {
      setupSeed(5);
      const affinity = Object.assign(Tensor.rand([1, 30, 30]), { requiresGrad: true });
      const label = Tensor.from(
        Uint8Array.from({ length: 900 }, (_, i) => [0, 1, 255, 1][(i * 7) % 4]!),
        [1, 30, 30],
      );
      const { loss, posCount, negCount } = getAffLoss(affinity, label);
      const [same, different, positive, negative, ...gradient] = asFloats(
        host('sums', [900], affinity.toFloat32(), label.data() as Uint8Array),
      ) as unknown as [number, number, number, number, ...number[]];
      expect([positive + 1, negative + 1]).toEqual([posCount, negCount]);
      expect((same / posCount + different / negCount) / 2).toBeCloseTo(loss.item(), 5);
      loss.backward();
      // d loss / d sum is half of 1 / count; the program's gradient is for 2 and 3 times the sums.
      const ofSums = { [-0.5 / posCount]: -2, [0.5 / negCount]: 3, 0: 0 };
      const factor = (g: number) =>
        Object.entries(ofSums).find(([own]) => Math.abs(Number(own) - g) < 1e-7)![1];
      expect(gradient).toEqual(numbers(affinity.grad!).map(factor));
    }));

  it('rounding to bfloat16 is libtorch’s, to the last bit', () =>
    scope(() => {
      setupSeed(6);
      const bits = Tensor.rand([5000])
        .mul(2 ** 32)
        .floor();
      const values = new Float32Array(Uint32Array.from(numbers(bits)).buffer);
      // Ties to even both ways, the largest numbers, the smallest, and none.
      const edges = [
        0x3f808000, 0x3f818000, 0x7f7fffff, 0x7f7f8000, 0x00000001, 0x00008000, 0x7f800000, 0xff800000,
      ];
      const all = Float32Array.of(
        ...values,
        ...new Float32Array(Uint32Array.from(edges).buffer),
        -0,
        Number.NaN,
      );
      const expected = Tensor.from(all, [all.length]).to({ dtype: 'bfloat16' }).to({ dtype: 'float32' });
      expect(asFloats(host('round', [all.length], all))).toEqual(expected.toFloat32());
    }));

  const PRECISIONS = [
    ['float32', 2e-6],
    ['bfloat16', 2 ** -8],
  ] as const;

  it.each(
    PRECISIONS.flatMap(([dtype, tolerance]) =>
      (
        [
          [2, 7, 9, 8],
          [1, 1, 1, 2],
          [1, 8, 17, 6],
          [3, 14, 14, 64],
        ] as const
      ).map((sizes) => [dtype, tolerance, ...sizes] as const),
    ),
  )(
    'depthwise convolution with GELU in %s (within %f), %i images of %i x %i x %i',
    (dtype, tolerance, ...sizes) =>
      scope(() => {
        const [batch, height, width, channels] = sizes;
        setupSeed(width);
        const tokens = Tensor.randn([batch, height, width, channels]).to({ dtype }).to({ dtype: 'float32' });
        const [weight, bias] = [Tensor.randn([channels, 1, 3, 3]), Tensor.randn([channels])];
        const image = tokens.permute(0, 3, 1, 2);
        const expected = image
          .conv2d(weight, { bias, padding: 1, groups: channels })
          .gelu()
          .permute(0, 2, 3, 1);
        const input = [Number(dtype === 'bfloat16'), ...sizes];
        const out = asFloats(host('depthwise', input, floats(tokens), floats(weight), floats(bias)));
        expectWithin(out, numbers(expected), tolerance);
      }),
  );

  it.each(
    PRECISIONS.flatMap(([dtype, tolerance]) =>
      [32, 64, 128, 160, 256, 320, 512, 4].map((channels) => [dtype, tolerance, channels] as const),
    ),
  )('sum and LayerNorm in %s (within %f), with its gradients, %i channels', (dtype, tolerance, channels) =>
    scope(() => {
      setupSeed(channels);
      const tokens = 6;
      const inType = (x: Tensor) => x.to({ dtype }).to({ dtype: 'float32' });
      // Far from zero, where the mean of squares less the square of the mean has no digits left.
      const residual = Tensor.randn([tokens, channels]).add(30);
      const branch = inType(Tensor.randn([tokens, channels]));
      const [weight, bias, added] = [1, 2, 3].map(() => Tensor.randn([channels])) as [Tensor, Tensor, Tensor];
      const [b, affine] = [floats(branch), [floats(weight), floats(bias)]];
      const sizes = [Number(dtype === 'bfloat16'), tokens, channels];
      // Stochastic depth: a sample of two tokens each is left out, or counts more.
      const scale = Float32Array.of(0, 1, 1.25);
      const scaled = branch
        .reshape(3, -1)
        .mul(Tensor.from(scale, [3, 1]))
        .reshape(tokens, channels);
      const sum = Object.assign(residual.add(scaled).detach(), { requiresGrad: true });
      const normed = sum.layerNorm(weight, bias, 1e-6);
      const both = asFloats(host('norm', [...sizes, 1, 0, 3], floats(residual), b, scale, ...affine));
      expect(both.slice(0, tokens * channels)).toEqual(sum.toFloat32());
      // What float32 has of deviations of about 1 from 30, times weights of up to 3.
      const far = 3e-5;
      expectWithin(both.slice(tokens * channels), numbers(normed.detach()), tolerance + far);
      const alone = asFloats(host('norm', [...sizes, 0, 1, 0], b, floats(added), ...affine));
      expectWithin(alone, numbers(branch.add(added).layerNorm(weight, bias, 1e-6)), tolerance);

      const [dNormed, dSum] = [inType(Tensor.randn([tokens, channels])), Tensor.randn([tokens, channels])];
      normed.mul(dNormed).sum().backward();
      const mean = sum.detach().mean([1], true);
      const inverse = sum.detach().sub(mean).square().mean([1], true).add(1e-6).sqrt();
      const of = [sum.detach(), mean, Tensor.ones([tokens, 1]).div(inverse)].map(floats);
      const expected = sum.grad!.add(dSum);
      const dBranch = expected.reshape(3, -1).mul(Tensor.from(scale, [3, 1]));
      const gradients = asFloats(
        host('norm_gradients', [...sizes, 1, 3], floats(dNormed), floats(dSum), ...of, scale, affine[0]!),
      );
      expectWithin(gradients.slice(0, tokens * channels), numbers(expected), far);
      expectWithin(gradients.slice(tokens * channels), numbers(dBranch), tolerance + far);
      const unscaled = asFloats(host('norm_gradients', [...sizes, 0, 0], floats(dNormed), ...of, affine[0]!));
      expectWithin(unscaled.slice(0, tokens * channels), numbers(sum.grad!), far);
    }),
  );
});
