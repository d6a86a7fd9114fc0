import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { FileAccessError, FileFormatError } from '../../src/io/file-error.js';
import { writeSafetensors } from '../../src/io/safetensors.js';
import { readWeightFile } from '../../src/io/weight-file.js';
import { backboneNames, getBackbone } from '../../src/models/backbones.js';
import { WeTr } from '../../src/models/wetr.js';
import { labelMap } from '../../src/predictor/label-map.js';
import { inferModelOptions } from '../../src/predictor/model-options.js';
import { loadCheckpoint } from '../../src/predictor/weights.js';
import { type RawTensor, scope, Tensor } from '../../src/tensor/index.js';

const folder = mkdtempSync(join(tmpdir(), 'afa-weights-'));
afterAll(() => rmSync(folder, { recursive: true }));
const io = (name: string) => fileURLToPath(new URL(`../fixtures/io/${name}`, import.meta.url));

describe('inferModelOptions', () => {
  it.each([
    { backbone: 'mit_b0', numClasses: 2, embeddingDim: 256 },
    { backbone: 'mit_b1', numClasses: 5, embeddingDim: 64 },
    { backbone: 'mit_b2', numClasses: 21, embeddingDim: 256 },
  ])('reads $backbone, $numClasses classes and width $embeddingDim off a model', (options) => {
    using model = new WeTr(options);
    expect(inferModelOptions(model.state(), 'model')).toEqual(options);
  });

  /** Names and shapes of a WeTr, as far as they tell its sizes (layout of native/nn). */
  function shapes(embedDims: readonly number[], depths: readonly number[]) {
    const entries: [string, { shape: number[] }][] = [
      ['classifier.weight', { shape: [1, embedDims[3]!, 1, 1] }],
      ['decoder.linear_pred.weight', { shape: [2, 256, 1, 1] }],
      ['decoder.linear_fuse.bn.weight', { shape: [256] }],
    ];
    embedDims.forEach((dim, i) => {
      entries.push([`encoder.patch_embed${i + 1}.proj.weight`, { shape: [dim, 3, 3, 3] }]);
      for (let j = 0; j < depths[i]!; j++)
        entries.push([`encoder.block${i + 1}.${j}.norm1.weight`, { shape: [dim] }]);
    });
    return new Map(entries);
  }

  it.each(backboneNames())('tells %s from the others', (name) => {
    const { embedDims, depths } = getBackbone(name);
    expect(inferModelOptions(shapes(embedDims, depths), 'file').backbone).toBe(name);
  });

  it('says which sizes no backbone has', () => {
    expect(() => inferModelOptions(shapes([64, 128, 320, 512], [2, 2, 2, 3]), 'odd.pth')).toThrow(
      /mit_b5\) for odd\.pth but received stages of 64, 128, 320, 512 channels with 2, 2, 2, 3 blocks/,
    );
  });

  it('says what else the weights look like', () => {
    const other = new Map(['conv1.weight', 'fc.bias'].map((name) => [name, { shape: [1] }]));
    expect(() => inferModelOptions(other, 'resnet.pth')).toThrow(UsageError);
    expect(() => inferModelOptions(other, 'resnet.pth')).toThrow(
      /weights of a WeTr model \(with '.*'\) for resnet\.pth but received names such as 'conv1\.weight', 'fc\.bias'\. Name/,
    );
    expect(() => inferModelOptions(new Map(), 'empty.pth')).toThrow('but received no weights');
  });
});

describe('loadCheckpoint', () => {
  it.each(['ddp_state_dict.pth', 'nested.pth', 'strided_views.pth'])(
    'reads %s as the reader does',
    async (name) => {
      expect(await loadCheckpoint(io(name))).toEqual(readWeightFile(io(name)));
    },
  );

  it('reads safetensors', async () => {
    const data = new Uint8Array(Float32Array.of(1.5, -2, 0.25).buffer);
    const weights = new Map<string, RawTensor>([['bias', { dtype: 'float32', shape: [3], data }]]);
    writeSafetensors(join(folder, 'small.safetensors'), weights);
    expect(await loadCheckpoint(join(folder, 'small.safetensors'))).toEqual(weights);
  });

  it('refuses what the reader refuses, with its error classes', async () => {
    const fault = (name: string) => loadCheckpoint(name).catch((error: unknown) => error);
    const bad = await fault(io('bad_truncated.pth'));
    expect(bad).toBeInstanceOf(FileFormatError);
    expect(bad).toMatchObject({ name: 'FileFormatError', path: io('bad_truncated.pth') });
    const absent = await fault(join(folder, 'absent.pth'));
    expect(absent).toBeInstanceOf(FileAccessError);
    expect(absent).toMatchObject({ code: 'ENOENT' });
    expect((absent as Error).message).toContain('absent.pth');
    writeFileSync(join(folder, 'text.pth'), 'not a checkpoint');
    expect(await fault(join(folder, 'text.pth'))).toBeInstanceOf(FileFormatError);
  });

  it('leaves the event loop free: it turns many times while 100 MB are read', async () => {
    const data = new Uint8Array(4 * 5_000_000);
    const large = new Map<string, RawTensor>(
      Array.from({ length: 5 }, (_, i) => [`t${i}`, { dtype: 'float32', shape: [5_000_000], data }]),
    );
    const path = join(folder, 'large.safetensors');
    writeSafetensors(path, large);
    let turns = 0;
    let reading = true;
    const turn = () => {
      turns += 1;
      if (reading) setImmediate(turn);
    };
    setImmediate(turn);
    await loadCheckpoint(path);
    reading = false;
    // A reader on this thread would let it turn once or twice.
    expect(turns).toBeGreaterThan(20);
    rmSync(path);
  });
});

describe('labelMap', () => {
  it("agrees with PyTorch's bilinear resize and argmax, whatever the sizes", () => {
    const side = fc.integer({ min: 1, max: 9 });
    const large = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        side,
        side,
        large,
        large,
        fc.integer(),
        (c, h, w, H, W, seed) => {
          let x = seed | 1;
          const logits = Float32Array.from({ length: c * h * w }, () => {
            x = (Math.imul(x, 1103515245) + 12345) | 0;
            return x / 2 ** 29;
          });
          const ours = labelMap(logits, [c, h, w], H, W);
          const theirs = scope(() => {
            const resized = Tensor.from(logits, [1, c, h, w]).interpolate([H, W]);
            return { values: resized.toFloat32(), labels: resized.argmax(1).toFloat32() };
          });
          for (let i = 0; i < H * W; i++) {
            const [a, b] = [ours[i]!, theirs.labels[i]!].map((label) => theirs.values[label * H * W + i]!);
            // Where two classes are equal but for rounding, either may win.
            expect(Math.abs(a! - b!)).toBeLessThan(1e-5);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
