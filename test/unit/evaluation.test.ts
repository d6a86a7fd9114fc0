/** Multi-scale prediction and its scores against the same put together by hand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type EvaluateOptions, evaluateImages } from '../../src/evaluation/evaluate-images.js';
import { LabelScoreAccumulator } from '../../src/evaluation/label-scores.js';
import { inputSize, multiScaleSeg } from '../../src/evaluation/multi-scale-seg.js';
import { scoreTable } from '../../src/evaluation/score-table.js';
import { readLabelPng } from '../../src/io/label-png.js';
import type { Batch } from '../../src/loading/batch.js';
import { packPixels } from '../../src/loading/batch-pixels.js';
import type { EvalLoader } from '../../src/loading/loader.js';
import { whole } from '../../src/loading/transforms.js';
import { WeTr } from '../../src/models/wetr.js';
import { memory, noGrad, setupSeed, Tensor } from '../../src/tensor/index.js';

setupSeed(5);
const CLASSES = 3;
const model = new WeTr({ backbone: 'mit_b0', numClasses: CLASSES }).eval();
const folder = mkdtempSync(join(tmpdir(), 'evaluation-'));
afterAll(() => rmSync(folder, { recursive: true }));

const seg = (images: Tensor) => model.forward(images, { seg: true }).seg!;
const close = (a: Tensor, b: Tensor) => expect(a.sub(b).abs().amax().item()).toBeLessThan(1e-5);

describe('multiScaleSeg', () => {
  const images = Tensor.randn([2, 3, 70, 93]);

  it('is the largest over scales of the means with the mirror image', () => {
    noGrad(() => {
      const mean = (x: Tensor) =>
        seg(x)
          .add(seg(x.flip(3)).flip(3))
          .div(2);
      const first = mean(images);
      const [, , h, w] = first.shape as [number, number, number, number];
      // 0.5 of 93 is 46.5: a fraction of a pixel is cut off.
      const half = mean(images.interpolate([35, 46])).interpolate([h, w]);
      const larger = mean(images.interpolate([105, 139])).interpolate([h, w]);
      const { single, multi } = multiScaleSeg(model, images, { scales: [0.5, 1.5], flip: true, longSide: 0 });
      close(multi, first.maximum(half).maximum(larger));
      close(single, seg(images));
    });
  });

  it('is one plain pass at scale 1 without mirror images', () => {
    noGrad(() => {
      const { single, multi } = multiScaleSeg(model, images, { scales: [1], flip: false, longSide: 0 });
      expect(multi.toFloat32()).toEqual(seg(images).toFloat32());
      expect(single.toFloat32()).toEqual(multi.toFloat32());
    });
  });

  it('sees the mirror image mirrored', () => {
    noGrad(() => {
      const options = { scales: [1, 0.5], flip: true, longSide: 128 };
      close(
        multiScaleSeg(model, images.flip(3), options).multi.flip(3),
        multiScaleSeg(model, images, options).multi,
      );
    });
  });

  // VOC's usual sizes at 512; int(h * 512 / 500) by hand.
  it.each([
    [[375, 500], 512, [384, 512]],
    [[500, 334], 512, [512, 342]],
    [[64, 64], 0, [64, 64]],
    [[2048, 1024], 512, [512, 256]],
    [[1, 4000], 512, [1, 512]],
  ] as const)('resizes %j for a longer side of %i to %j', (size, longSide, expected) => {
    expect(inputSize(size, longSide)).toEqual(expected);
  });
});

describe('LabelScoreAccumulator', () => {
  it('gives IoU, Dice and accuracy of all pixels, and Dice by image', () => {
    const scores = new LabelScoreAccumulator(3);
    scores.add(Uint8Array.of(0, 0, 1, 255), Uint8Array.of(0, 1, 1, 2), [1, 0]);
    scores.add(Uint8Array.of(2, 2, 1, 0), Uint8Array.of(2, 0, 1, 0), [1, 1]);
    const { iou, dice, imageDice, ...means } = scores.result()!;
    // Background: 2 right of 3, 1 more predicted. Class 1: 2 right, 1 more predicted. Class 2: 1 of 2.
    expect(iou).toEqual([2 / 4, 2 / 3, 1 / 2]);
    expect(dice).toEqual([2 / 3, 0.8, 2 / 3]);
    expect(means.pAcc).toBeCloseTo(5 / 7, 12);
    expect(means.mAcc).toBeCloseTo((2 / 3 + 1 + 1 / 2) / 3, 12);
    expect(means.miou).toBeCloseTo((1 / 2 + 2 / 3 + 1 / 2) / 3, 12);
    // Image 1: class 1 alone, 2/3; image 2: class 1 whole, class 2 2/3.
    expect(imageDice).toBeCloseTo((2 / 3 + 1 + 2 / 3) / 3, 12);
    expect(means.images).toBe(2);
  });

  it('has no scores without a pixel of a class', () => {
    const scores = new LabelScoreAccumulator(3);
    expect(scores.result()).toBeNull();
    scores.add(Uint8Array.of(255), Uint8Array.of(0), [0, 0]);
    expect(scores.result()).toBeNull();
  });
});

/** Coloured images with masks. */
const pictures = [
  { name: 'wide', height: 64, width: 80, labels: [1, 1] },
  { name: 'tall', height: 90, width: 64, labels: [0, 1] },
].map(({ name, height, width, labels }) => {
  const data = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37) % 251);
  const mask = Uint8Array.from({ length: height * width }, (_, i) => [0, 1, 2, 255][(i >> 5) % 4]!);
  const batch: Batch = {
    names: [name],
    // As bytes, and as floats.
    pixels: packPixels(
      [whole({ data: name === 'wide' ? data : Float32Array.from(data), height, width })],
      height,
      width,
    ),
    height,
    width,
    labels: Float32Array.from(labels),
    boxes: Int32Array.of(0, height, 0, width),
    masks: [{ data: mask, height, width }],
  };
  return { batch, rgb: data, mask };
});

function loader(): EvalLoader {
  const queue = pictures.map(({ batch }) => batch);
  return {
    dataset: {
      names: [],
      labels: [],
      numClasses: CLASSES,
      hasMasks: true,
      classNames: ['cat', 'dog'],
    } as unknown as EvalLoader['dataset'],
    length: queue.length,
    skipped: 0,
    position: () => ({ epoch: 0, cursor: 0 }),
    next: async () => queue.shift(),
    close: async () => {},
  };
}

describe('evaluateImages', () => {
  const options: EvaluateOptions = {
    device: 'cpu',
    scales: [1, 0.75],
    flip: true,
    longSide: 96,
    outputDir: folder,
  };

  it('gives post-processing the image and its probabilities, and scores and writes what it returns', async () => {
    const seen: { rgb: Uint8Array; sums: Float32Array; best: Float32Array }[] = [];
    const result = (await evaluateImages(model, loader(), {
      ...options,
      crf: (rgb, probabilities) => {
        const turned = Tensor.cat([probabilities.narrow(0, 1, 2), probabilities.narrow(0, 0, 1)]);
        const [, height, width] = probabilities.shape as [number, number, number];
        expect(rgb).toHaveLength(3 * height * width);
        seen.push({ rgb, sums: probabilities.sum(0).toFloat32(), best: turned.argmax(0).toFloat32() });
        return turned;
      },
    }))!;
    expect(result).toMatchObject({ images: 2, masks: 2, predictions: 'crf' });
    expect(Object.keys(result.scores)).toEqual(['raw', 'multiScale', 'crf']);
    const again = new LabelScoreAccumulator(CLASSES);
    pictures.forEach(({ batch, rgb, mask }, i) => {
      expect(seen[i]!.rgb).toEqual(rgb);
      for (const sum of seen[i]!.sums) expect(sum).toBeCloseTo(1, 5);
      const png = readLabelPng(join(folder, `${batch.names[0]}.png`));
      expect([png.height, png.width]).toEqual([batch.height, batch.width]);
      expect([...png.data]).toEqual([...seen[i]!.best]);
      again.add(mask, png.data, batch.labels);
    });
    expect(result.scores.crf).toEqual(again.result());
    expect(result.scores.crf).not.toEqual(result.scores.multiScale);
  });

  it('computes only what is asked for', async () => {
    const plain = (await evaluateImages(model, loader(), { ...options, scales: [1], flip: false }))!;
    expect(Object.keys(plain.scores)).toEqual(['raw']);
    expect(plain.predictions).toBe('raw');
    const maps = { scales: [1], bkgScore: 0.4 };
    const mapped = (await evaluateImages(model, loader(), { ...options, maps }))!;
    expect(Object.keys(mapped.scores)).toEqual(['raw', 'multiScale', 'cam']);
    const propagation = { bkgScore: 0.35, radius: 8 };
    const all = (await evaluateImages(model, loader(), { ...options, maps: { ...maps, propagation } }))!;
    expect(all.scores.cam).toEqual(mapped.scores.cam);
    expect(all.scores.affinity).not.toBeNull();
    const table = scoreTable(all.scores, all.classes).split('\n');
    expect(table[0]).toMatch(/^% +raw +multi-scale +CAM +affinity CAM$/);
    expect(table.at(-1)).toMatch(/^Dice, mean of images( +\d+\.\d\d){4}$/);
    expect(table.slice(2, 5).map((line) => line.split(/ {2,}/)[0])).toEqual([
      'IoU background',
      'IoU cat',
      'IoU dog',
    ]);
    expect(table).toHaveLength(2 + CLASSES + 4);
  });

  it('leaves no tensor behind', async () => {
    await evaluateImages(model, loader(), options);
    const before = memory().liveTensors;
    await evaluateImages(model, loader(), options);
    expect(memory().liveTensors).toBe(before);
  });

  it('stops between images, and refuses an image that is too small for a scale', async () => {
    expect(await evaluateImages(model, loader(), { ...options, stopWhen: () => true })).toBeUndefined();
    const small = evaluateImages(model, loader(), { ...options, scales: [0.2], longSide: 0 });
    await expect(small).rejects.toThrow(/image wide but received 64 x 80\..* set test\.scales/);
  });
});
