/** Multi-scale maps against the same steps written with tensors, and what must not change them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getDownSize } from '../../src/cam/down-size.js';
import { multiScaleCam } from '../../src/cam/multi-scale.js';
import { WeTr } from '../../src/models/wetr.js';
import { deterministicState } from '../../src/parity/deterministic-weights.js';
import { memory, noGrad, scope, setupSeed, Tensor } from '../../src/tensor/index.js';
import { caught, expectClose, expectTorchError, numbers } from '../native/support.js';

let model: WeTr;
beforeAll(() => {
  model = new WeTr({ backbone: 'mit_b0', numClasses: 3 }).eval();
  model.loadStateDict(deterministicState(model.state()));
});
afterAll(() => model.dispose());

const run = (name: string, body: () => void) => it(name, () => scope(() => noGrad(body)));
const images = (batch: number, height: number, width: number) => {
  setupSeed(height * 7 + width);
  return Tensor.randn([batch, 3, height, width]);
};

/** AFA, section 3.1: over scales, the larger of a map and its mirror image's, rectified, summed, scaled to 0..1. */
function slowCam(input: Tensor, scales: number[]): Tensor {
  const [, , height, width] = input.shape as [number, number, number, number];
  let sum = Tensor.zeros([1]);
  for (const scale of [1, ...scales.filter((s) => s !== 1)]) {
    const resized = input.interpolate([Math.floor(height * scale), Math.floor(width * scale)]);
    const maps = [resized, resized.flip(3)].map((x) => model.forwardCam(x).interpolate([height, width]));
    sum = sum.add(maps[0]!.maximum(maps[1]!.flip(3)).relu());
  }
  const lifted = sum.sub(sum.amin([2, 3], true));
  return lifted.div(lifted.amax([2, 3], true).add(1e-5));
}

describe('maps', () => {
  it.each([
    [64, 64, [1, 0.5, 1.5]],
    [97, 131, [1, 0.5, 1.5]],
    [112, 112, [0.75]],
    [80, 64, []],
  ])('of %i x %i at scales %j follow the definition', (height, width, scales) =>
    scope(() =>
      noGrad(() => {
        const input = images(2, height, width);
        const { cam } = multiScaleCam(model, input, { scales });
        expect(cam.shape).toEqual([2, 2, height, width]);
        expectClose(numbers(cam), numbers(slowCam(input, scales)), 1e-4);
      }),
    ),
  );

  run('start at exactly 0, reach almost 1, and have no gradient', () => {
    const { cam } = multiScaleCam(model, images(3, 64, 96), { scales: [1, 0.5] });
    expect(numbers(cam.amin([2, 3]))).toEqual(new Array(6).fill(0));
    for (const top of numbers(cam.amax([2, 3]))) {
      expect(top).toBeGreaterThan(0.99);
      expect(top).toBeLessThan(1);
    }
    expect(cam.requiresGrad).toBe(false);
  });

  run('do not depend on the order of the scales, nor on 1 being named', () => {
    const input = images(1, 64, 64);
    const first = numbers(multiScaleCam(model, input, { scales: [1, 0.5, 1.5] }).cam);
    expect(numbers(multiScaleCam(model, input, { scales: [0.5, 1.5] }).cam)).toEqual(first);
    expectClose(numbers(multiScaleCam(model, input, { scales: [1.5, 1, 0.5] }).cam), first, 1e-6);
  });

  it.each([
    [64, 64],
    [97, 131],
  ])('of the mirror image are mirror images (%i x %i)', (height, width) =>
    scope(() => {
      const input = images(1, height, width);
      const of = (x: Tensor) => multiScaleCam(model, x, { scales: [1, 0.5, 1.5] }).cam;
      expectClose(numbers(of(input.flip(3)).flip(3)), numbers(of(input)), 1e-5);
    }),
  );
});

describe('chunks', () => {
  run('change nothing: maps, affinity, mirrored affinity', () => {
    const input = images(5, 64, 80);
    const options = { scales: [1, 0.5, 1.5], affinity: true, flippedAffinity: true };
    const whole = multiScaleCam(model, input, { ...options, chunk: 0 });
    expect(whole.affinity!.shape).toEqual([10, 48, 48]);
    for (const chunk of [1, 2, 3, 5, 9, undefined]) {
      const parts = multiScaleCam(model, input, { ...options, chunk });
      // Products of other sizes may be summed in another order: float32 leaves the last digits open.
      expectClose(numbers(parts.cam), numbers(whole.cam), 1e-5);
      expectClose(numbers(parts.affinity!), numbers(whole.affinity!), 1e-5);
      expect(parts.grid).toEqual(whole.grid);
    }
  });
});

describe('affinity', () => {
  run('is that of the largest scale, mirrored images after the others', () => {
    const input = images(2, 64, 96);
    const { affinity, grid } = multiScaleCam(model, input, {
      scales: [0.5, 1.5, 1],
      affinity: true,
      flippedAffinity: true,
    });
    const large = input.interpolate([96, 144]);
    expect(grid).toEqual(getDownSize([96, 144]));
    const of = (x: Tensor) => model.forward(x, { affinity: true }).affinity!;
    expectClose(numbers(affinity!.narrow(0, 0, 2)), numbers(of(large)), 1e-5);
    expectClose(numbers(affinity!.narrow(0, 2, 2)), numbers(of(large.flip(3))), 1e-5);
  });

  run('is absent unless asked for, and holds the images alone by default', () => {
    const input = images(2, 64, 64);
    const plain = multiScaleCam(model, input, { scales: [1] });
    expect([plain.affinity, plain.grid]).toEqual([undefined, [0, 0]]);
    expect(multiScaleCam(model, input, { scales: [1], affinity: true }).affinity!.shape).toEqual([2, 16, 16]);
  });
});

describe('side effects', () => {
  run('none on BatchNorm, also in training mode, and one new tensor', () => {
    const statistics = () => numbers(model.state().get('decoder.linear_fuse.bn.running_mean')!);
    const input = images(1, 64, 64);
    const before = [statistics(), memory().liveTensors];
    model.train();
    multiScaleCam(model, input, { scales: [1] });
    model.eval();
    expect([statistics(), memory().liveTensors - 1]).toEqual(before);
  });

  it.each<[string, () => Tensor, number[], RegExp]>([
    [
      'one channel',
      () => Tensor.zeros([1, 1, 64, 64]),
      [1],
      /images of shape \[B, 3, H, W\] but received \[1, 1, 64, 64\]/,
    ],
    ['a scale of 0', () => Tensor.zeros([1, 3, 64, 64]), [0], /greater than 0/],
    ['a negative scale', () => Tensor.zeros([1, 3, 64, 64]), [-1], /greater than 0/],
    ['half of less than 64', () => Tensor.zeros([1, 3, 56, 56]), [0.5], /Kernel size/],
  ])('%s is refused', (_, input, scales, message) =>
    scope(() =>
      expectTorchError(
        caught(() => multiScaleCam(model, input(), { scales })),
        { code: 'ERR_TORCH', op: 'multiScaleCam', message },
      ),
    ),
  );
});

describe('maps at scale 1 that are there already', () => {
  const scales = [1, 0.5, 1.5];

  run('give what an own pass gives, whatever the images a pass', () => {
    const input = images(3, 96, 64);
    const expected = numbers(multiScaleCam(model, input, { scales }).cam);
    const scaleOne = model.forwardCam(input);
    for (const chunk of [0, 2])
      expectClose(numbers(multiScaleCam(model, input, { scales, scaleOne, chunk }).cam), expected, 1e-5);
  });

  run('are what the result is made of', () => {
    const input = images(1, 64, 64);
    const other = model.forwardCam(images(1, 64, 64).mul(3));
    const [own, given] = [{}, { scaleOne: other }].map((more) =>
      numbers(multiScaleCam(model, input, { scales, ...more }).cam),
    );
    expect(given).not.toEqual(own);
  });

  run('are refused where their affinity would be needed', () => {
    const input = images(1, 64, 64);
    const scaleOne = model.forwardCam(input);
    const error = caught(() => multiScaleCam(model, input, { scales: [1], affinity: true, scaleOne }));
    expectTorchError(error, {
      code: 'ERR_TORCH',
      op: 'multiScaleCam',
      message: /a scale above 1 is needed/,
    });
  });
});
