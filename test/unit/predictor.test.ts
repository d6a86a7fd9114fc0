import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { overlayCam } from '../../src/export/heatmap.js';
import { writeNpy } from '../../src/io/npy.js';
import { readSafetensors, writeSafetensors } from '../../src/io/safetensors.js';
import { batchImages } from '../../src/loading/batch-images.js';
import { packPixels } from '../../src/loading/batch-pixels.js';
import { normalizeImage } from '../../src/loading/normalize.js';
import { whole } from '../../src/loading/transforms.js';
import { WeTr } from '../../src/models/wetr.js';
import { native } from '../../src/native/index.js';
import { deterministicState } from '../../src/parity/deterministic-weights.js';
import { Predictor, type PredictorOptions } from '../../src/predictor.js';
import {
  getNumThreads,
  memory,
  scope,
  setNumThreads,
  setupSeed,
  Tensor,
  typedView,
} from '../../src/tensor/index.js';
import { saveWeights } from '../../src/training/checkpoints.js';
import { childJson } from '../native/support.js';

const folder = mkdtempSync(join(tmpdir(), 'afa-predictor-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

const loaded: Predictor[] = [];
afterAll(() => {
  for (const predictor of loaded) predictor.dispose();
});
async function load(path: string, options: PredictorOptions = {}): Promise<Predictor> {
  const predictor = await Predictor.load(path, { device: 'cpu', ...options });
  loaded.push(predictor);
  return predictor;
}

beforeAll(() => {
  setupSeed(5);
  using model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
  saveWeights(model, at('b0.pth'));
});

/** A grey ramp. */
const image = (height: number, width: number) => ({
  data: Uint8Array.from({ length: height * width }, (_, i) => (i * 7) % 256),
  height,
  width,
});

describe('numbers of the original implementation (reference fixtures)', () => {
  it.each([
    { name: 'nonsquare_b1_fwd', backbone: 'mit_b1', numClasses: 2, pooling: 'gmp' },
    { name: 'gap_b2_64', backbone: 'mit_b2', numClasses: 3, pooling: 'gap' },
  ] as const)('$name', async ({ name, backbone, numClasses, pooling }) => {
    const file = fileURLToPath(new URL(`../fixtures/model/${name}.safetensors`, import.meta.url));
    const fixture = readSafetensors(file);
    const floats = (tensor: string) => typedView(fixture.get(tensor)!) as Float32Array;
    const fresh = new WeTr({ backbone, numClasses });
    writeSafetensors(at(`${name}.safetensors`), deterministicState(fresh.state()));
    fresh.dispose();

    const predictor = await load(at(`${name}.safetensors`), { pooling });
    expect([predictor.backbone, predictor.numClasses]).toEqual([backbone, numClasses]);
    const [batch, height, width] = fixture.get('images_u8')!.shape as [number, number, number];
    const classes = numClasses - 1;
    const images = typedView(fixture.get('images_u8')!) as Uint8Array;
    const labels = scope(() =>
      Tensor.fromRaw(fixture.get('seg')!).interpolate([height, width]).argmax(1).toFloat32(),
    );
    for (let b = 0; b < batch; b++) {
      const part = <T extends Float32Array | Uint8Array>(all: T, size: number) =>
        all.subarray(b * size, (b + 1) * size) as T;
      const data = part(images, 3 * height * width);
      const out = await predictor.predict({ data, height, width, channels: 3 });
      const probabilities = Array.from(part(floats('cls'), classes), (v) => 1 / (1 + Math.exp(-v)));
      for (const [c, score] of out.scores.entries()) expect(score).toBeCloseTo(probabilities[c]!, 4);
      expect(out.score).toBe(Math.max(...out.scores));
      const cam = part(floats('ms.cam'), classes * height * width);
      const worst = cam.reduce((most, v, i) => {
        const ours = out.cams[Math.floor(i / (height * width))]![i % (height * width)]!;
        return Math.max(most, Math.abs(v - ours));
      }, 0);
      expect(worst).toBeLessThan(1e-4);
      const strongest = out.cam.every((v, i) => v === Math.max(...out.cams.map((map) => map[i]!)));
      expect(strongest).toBe(true);
      const differing = out.segmentation.filter((label, i) => label !== part(labels, height * width)[i]);
      expect(differing.length / (height * width)).toBeLessThanOrEqual(0.001);
      expect([out.height, out.width]).toEqual([height, width]);
    }
  });
});

describe('predict', () => {
  it('keeps the event loop free: a 5 ms timer ticks all the while', async () => {
    const predictor = await load(at('b0.pth'));
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 5);
    await Promise.all([1, 2, 3].map(() => predictor.predict(image(320, 320))));
    clearInterval(timer);
    // Were the network to run on this thread, the timer could tick between the three images at most.
    expect(ticks).toBeGreaterThan(20);
  });

  it('answers in the order of the calls, the same for equal images', async () => {
    const predictor = await load(at('b0.pth'));
    const order: number[] = [];
    const sizes = [256, 64, 128, 64];
    const results = await Promise.all(
      sizes.map((side, i) =>
        predictor.predict(image(side, side)).then((result) => {
          order.push(i);
          return result;
        }),
      ),
    );
    expect(order).toEqual([0, 1, 2, 3]);
    expect(results.map(({ width }) => width)).toEqual(sizes);
    expect(results[1]).toEqual(results[3]);
  });

  it('computes with as many threads as asked, and gives the same', async () => {
    const before = getNumThreads();
    const one = await (await load(at('b0.pth'), { threads: 1 })).predict(image(64, 64));
    expect(getNumThreads()).toBe(1);
    const two = await (await load(at('b0.pth'), { threads: 2 })).predict(image(64, 64));
    expect(getNumThreads()).toBe(2);
    expect(two.score).toBeCloseTo(one.score, 5);
    setNumThreads(before);
  });

  it("makes the network's input of bytes as training does, and of floats to the same bits", async () => {
    const { data, height, width } = image(70, 90);
    const inputs: Float32Array[] = [];
    const normalized = vi.spyOn(native, 'normalizeBytes');
    const computed = native.predictAsync;
    vi.spyOn(native, 'predictAsync').mockImplementation((...job) => {
      inputs.push(Float32Array.from(new Float32Array(native.toArrayBuffer(job[1]))));
      return computed(...job);
    });
    try {
      const predictor = await load(at('b0.pth'));
      const fromBytes = await predictor.predict({ data, height, width });
      expect(normalized).toHaveBeenCalledTimes(1);
      expect(await predictor.predict({ data: Float32Array.from(data), height, width })).toEqual(fromBytes);
      expect(normalized).toHaveBeenCalledTimes(1);
    } finally {
      vi.restoreAllMocks();
    }
    const trained = scope(() =>
      batchImages({
        pixels: packPixels([whole({ data, height, width, channels: 1 })], height, width),
        height,
        width,
      }).toFloat32(),
    );
    expect(inputs).toEqual([trained, trained]);
    expect(trained).toEqual(normalizeImage({ data, height, width, channels: 1 }));
  });

  it.runIf(process.platform === 'linux')('has one team of threads, whatever it computes on', async () => {
    const threads = (kind: string) =>
      childJson<number>(
        `import { readFileSync } from 'node:fs';
        import { Predictor } from 'DIST/index.js';
        const predictor = await Predictor.load(${JSON.stringify(at('b0.pth'))}, { device: 'cpu', scales: [1] });
        const image = { data: new ${kind}(320 * 320), height: 320, width: 320 };
        for (let i = 0; i < 3; i++) await predictor.predict(image);
        console.log(/Threads:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);`,
        { env: { OMP_NUM_THREADS: '4' } },
      );
    const [bytes, floats] = await Promise.all([threads('Uint8Array'), threads('Float32Array')]);
    expect(bytes).toBe(floats);
  });

  it('goes on after a refused image', async () => {
    const predictor = await load(at('b0.pth'));
    const refused = predictor.predict(image(20, 64));
    const good = predictor.predict(image(64, 64));
    await expect(refused).rejects.toThrow('Expected at least 64x64 pixels for image but received 20x64');
    expect((await good).cam).toHaveLength(64 * 64);
  });

  it('reads a path as it reads the same pixels', async () => {
    const predictor = await load(at('b0.pth'));
    const { data, height, width } = image(70, 90);
    writeNpy(at('slice.npy'), { dtype: 'uint8', shape: [height, width], data });
    await sharp(data, { raw: { width, height, channels: 1 } })
      .png()
      .toFile(at('slice.png'));
    const expected = await predictor.predict({ data, height, width });
    expect(await predictor.predict(at('slice.npy'))).toEqual(expected);
    expect(await predictor.predict(at('slice.png'))).toEqual(expected);
  });

  it('needs more pixels where scales are smaller', async () => {
    const predictor = await load(at('b0.pth'), { scales: [0.25] });
    // Stride 4 and an 8x8 reduction: 29 pixels at scale 0.25.
    await expect(predictor.predict(image(115, 200))).rejects.toThrow('Expected at least 116x116 pixels');
    expect((await predictor.predict(image(116, 200))).width).toBe(200);
  });

  it('takes its scales and stride from the options', async () => {
    const [usual, single, coarse] = await Promise.all([
      load(at('b0.pth')),
      load(at('b0.pth'), { scales: [1] }),
      load(at('b0.pth'), { stride: [4, 2, 2, 2] }),
    ]);
    const picture = image(96, 96);
    const maps = await Promise.all([usual, single, coarse].map((predictor) => predictor.predict(picture)));
    expect(maps[0]!.scores).toEqual(maps[1]!.scores);
    expect(maps[0]!.cam).not.toEqual(maps[1]!.cam);
    expect(maps[0]!.scores).not.toEqual(maps[2]!.scores);
  });

  it('leaves no tensor behind, and frees the model when disposed of', async () => {
    const before = memory().liveTensors;
    const predictor = await load(at('b0.pth'));
    const ready = memory().liveTensors;
    for (let i = 0; i < 3; i++) await predictor.predict(image(64, 64));
    await predictor.predict(image(8, 8)).catch(() => {});
    expect(memory().liveTensors).toBe(ready);
    predictor.dispose();
    expect(memory().liveTensors).toBe(before);
  });

  it('finishes what is under way at dispose(), and refuses what waits', async () => {
    const predictor = await load(at('b0.pth'));
    const running = predictor.predict(image(256, 256));
    const waiting = predictor.predict(image(64, 64));
    // The first has reached the compute thread once the event loop has turned.
    await new Promise((resolve) => setImmediate(resolve));
    predictor.dispose();
    predictor.dispose();
    expect((await running).cam).toHaveLength(256 * 256);
    const message = 'Expected a loaded Predictor for predict() but this one is disposed';
    await expect(waiting).rejects.toThrow(message);
    await expect(predictor.predict(image(64, 64))).rejects.toThrow(message);
  });
});

describe('load', () => {
  it.each([
    [{ pooling: 'max' }, "Expected 'gmp' or 'gap' for pooling but received string 'max'"],
    [
      { stride: [4, 2, 2] },
      'Expected four positive integers for stride but received an array of 3 ([4, 2, 2])',
    ],
    [{ scales: [] }, 'Expected a list of factors above 0 for scales but received an array of 0'],
    [{ threads: 0 }, 'Expected a positive integer for threads but received number 0'],
    [{ threads: 1.5 }, 'for threads but received number 1.5'],
    [{ scales: [1, -0.5] }, 'for scales but received an array of 2 ([1, -0.5])'],
  ])('refuses %j', async (options, message) => {
    const fault = await Predictor.load(at('b0.pth'), options as PredictorOptions).catch(
      (error: unknown) => error,
    );
    expect(fault).toBeInstanceOf(UsageError);
    expect((fault as Error).message).toContain(message);
  });

  it('refuses other checkpoints by name and leaves nothing behind', async () => {
    const before = memory().liveTensors;
    const other = fileURLToPath(new URL('../fixtures/io/ddp_state_dict.pth', import.meta.url));
    await expect(load(other)).rejects.toThrow(/weights of a WeTr model .* for .*ddp_state_dict\.pth/);
    using model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
    const state = model.stateDict();
    state.delete('attn_proj.bias');
    writeSafetensors(at('partial.safetensors'), state);
    await expect(load(at('partial.safetensors'))).rejects.toThrow(/missing \(1\):\s+attn_proj\.bias/);
    model.dispose();
    expect(memory().liveTensors).toBe(before);
  });
});

describe('heatmap', () => {
  it("is the export's picture: the stretched map over the image", async () => {
    const predictor = await load(at('b0.pth'));
    const { data, height, width } = image(64, 80);
    const cam = Float32Array.from({ length: height * width }, (_, i) => 0.25 + (i % width) / (2 * width));
    const png = await predictor.heatmap({ data, height, width }, cam);
    const { data: pixels, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([width, height, 3]);
    const rgb = Uint8Array.from({ length: 3 * data.length }, (_, i) => data[Math.floor(i / 3)]!);
    const low = cam[0]!;
    const range = cam[width - 1]! - low;
    const full = Float32Array.from(cam, (value) => (value - low) / range);
    expect(Buffer.compare(pixels, overlayCam(rgb, full))).toBe(0);

    await predictor.saveHeatmap(at('heat.png'), { data, height, width }, cam);
    expect(Buffer.compare(readFileSync(at('heat.png')), png)).toBe(0);
  });

  it('refuses a map of another size', async () => {
    const predictor = await load(at('b0.pth'));
    await expect(predictor.heatmap(image(64, 64), new Float32Array(5))).rejects.toThrow(
      'Expected a Float32Array of 4096 values (64 x 64) for cam but received Float32Array of 5',
    );
  });
});
