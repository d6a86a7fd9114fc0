/** Scores of images that two processes saw equal those of one that saw them all. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LabelScoreAccumulator } from '../../src/evaluation/label-scores.js';
import type { Batch } from '../../src/loading/batch.js';
import { hashSeed, Random } from '../../src/loading/random.js';
import { SequentialSampler } from '../../src/loading/sampler.js';
import { ScoreAccumulator } from '../../src/training/validation-scores.js';

const CLASSES = ['background', 'a', 'b'];
const [HEIGHT, WIDTH] = [6, 7];
const PIXELS = HEIGHT * WIDTH;

/** Image `i` with all that a pass finds; every fourth has no mask. */
function image(i: number) {
  const random = new Random(hashSeed(i, 'merged scores'));
  const floats = (n: number) => Float32Array.from({ length: n }, () => random.next());
  const labelled = (n: number) => Float32Array.from({ length: n }, () => random.below(3));
  const batch: Batch = {
    names: [`i${i}`],
    pixels: { kind: 'floats', data: new Float32Array(0) },
    height: HEIGHT,
    width: WIDTH,
    labels: Float32Array.of(random.below(2), random.below(2)),
    boxes: Int32Array.of(0, HEIGHT, 0, WIDTH),
    masks: [
      i % 4 === 3 ? undefined : { data: Uint8Array.from(labelled(PIXELS)), height: HEIGHT, width: WIDTH },
    ],
  };
  const pixels = {
    cams: floats(2 * PIXELS),
    seg: labelled(PIXELS),
    camLabels: labelled(PIXELS),
    affLabels: labelled(PIXELS),
  };
  return { batch, loss: random.next(), probabilities: floats(2), pixels };
}

function scored(indices: readonly number[]): ScoreAccumulator {
  const scores = new ScoreAccumulator(CLASSES);
  for (const i of indices) {
    const { batch, loss, probabilities, pixels } = image(i);
    scores.addClassification(batch, loss, probabilities);
    scores.addPixels(batch, pixels);
  }
  return scores;
}

/** What JSON makes of it: states travel between processes as text. */
const sent = <T>(value: T): T => JSON.parse(JSON.stringify(value));

const share = (length: number, rank: number, worldSize: number): number[] => {
  const sampler = new SequentialSampler(length, 3, { rank, worldSize });
  const indices: number[] = [];
  for (let task = sampler.next(); task; task = sampler.next()) indices.push(...task.indices);
  return indices;
};

/** Equal but for the order in which floats were added. */
function expectClose(received: unknown, expected: unknown, path = ''): void {
  if (typeof expected === 'number') return void expect(received, path).toBeCloseTo(expected, 10);
  if (typeof expected !== 'object' || expected === null) return void expect(received, path).toBe(expected);
  expect(Object.keys(received as object), path).toEqual(Object.keys(expected));
  for (const [key, value] of Object.entries(expected))
    expectClose((received as Record<string, unknown>)[key], value, `${path}.${key}`);
}

describe('merged scores', () => {
  it('of a validation are those of one process, for any number of images and processes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 25 }), fc.integer({ min: 2, max: 4 }), (images, world) => {
        const [first, ...others] = Array.from({ length: world }, (_, rank) =>
          scored(share(images, rank, world)),
        );
        for (const other of others) first!.absorb(sent(other.state()));
        const wanted = { cam: true, aff: true };
        expectClose(first!.result(wanted), scored(share(images, 0, 1)).result(wanted));
      }),
      { numRuns: 30 },
    );
  });

  it('of label maps are those of one process', () => {
    const over = (indices: readonly number[]) => {
      const scores = new LabelScoreAccumulator(3);
      for (const i of indices) {
        const { batch, pixels } = image(i);
        if (batch.masks![0]) scores.add(batch.masks![0].data, Uint8Array.from(pixels.seg), batch.labels);
      }
      return scores;
    };
    const [first, second] = [0, 1].map((rank) => over(share(11, rank, 2)));
    first!.absorb(sent(second!.state()));
    expectClose(first!.result(), over(share(11, 0, 1)).result());
  });
});

describe('SequentialSampler of several processes', () => {
  it('gives every sample to one of them, once', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 1, max: 7 }), (length, world) => {
        const all = Array.from({ length: world }, (_, rank) => share(length, rank, world)).flat();
        expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
      }),
    );
  });
});
