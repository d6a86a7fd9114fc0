/** Promises of the addon's own compute thread: order, failures, a free event loop, ownership of inputs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { multiScaleCam } from '../../src/cam/multi-scale.js';
import { WeTr } from '../../src/models/wetr.js';
import { native } from '../../src/native/index.js';
import { memory, noGrad, setupSeed, Tensor } from '../../src/tensor/index.js';
import { caught, expectClose, expectTorchError, numbers } from './support.js';

let model: WeTr;
beforeAll(() => {
  setupSeed(0);
  model = new WeTr({ backbone: 'mit_b0', numClasses: 3 }).eval();
});
afterAll(() => model.dispose());

const images = (size: number, batch = 1) => Tensor.rand([batch, 3, size, size]);
/** [class logits, segmentation logits, CAM] */
async function predict(input: Tensor, scales: number[] = [1], using = model): Promise<Tensor[]> {
  const [cls, seg, cam] = await native.predictAsync(using.handle, Tensor.handle(input), scales, 0);
  return [cls, seg, cam].map((handle) => new Tensor(handle));
}
const dispose = (...tensors: Tensor[]) => {
  for (const tensor of tensors) tensor.dispose();
};

describe('predictAsync', () => {
  it('gives what the synchronous calls give, without gradients', async () => {
    const input = images(64, 2);
    const scales = [1, 0.5, 1.5];
    const [cls, seg, cam] = (await predict(input, scales)) as [Tensor, Tensor, Tensor];
    const forward = noGrad(() => model.forward(input, { cls: true, seg: true }));
    const multi = multiScaleCam(model, input, { scales, chunk: 0 });
    expectClose(numbers(cls), numbers(forward.cls!), 1e-5);
    expectClose(numbers(seg), numbers(forward.seg!), 1e-5);
    expectClose(numbers(cam), numbers(multi.cam), 1e-5);
    expect([cls.shape, seg.shape, cam.shape]).toEqual([
      [2, 2],
      [2, 3, 16, 16],
      [2, 2, 64, 64],
    ]);
    expect([cls.requiresGrad, seg.requiresGrad]).toEqual([false, false]);
    dispose(input, cls, seg, cam, forward.cls!, forward.seg!, multi.cam);
  });

  it('resolves in order, the large before the small that came after it', async () => {
    const sizes = [160, 64, 96, 64];
    const order: number[] = [];
    const jobs = sizes.map(async (size, i) => {
      const input = images(size);
      const outputs = await predict(input);
      order.push(i);
      dispose(input, ...outputs);
    });
    expect(order).toEqual([]);
    await Promise.all(jobs);
    expect(order).toEqual([0, 1, 2, 3]);
  });

  it('leaves the event loop free', async () => {
    const input = images(256, 2);
    let [ticks, longest, last] = [0, 0, performance.now()];
    const timer = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      ticks += 1;
    }, 2);
    const start = performance.now();
    const outputs = await predict(input, [1, 0.5, 1.5]);
    const elapsed = performance.now() - start;
    clearInterval(timer);
    dispose(input, ...outputs);
    // Blocked for the job, the loop would tick once before and once after it.
    expect(ticks).toBeGreaterThan(5);
    expect(longest).toBeLessThan(elapsed / 2);
  });

  it('rejects with a TorchError, and the jobs behind it run', async () => {
    const [bad, good] = [Tensor.zeros([1, 1, 64, 64]), images(64)];
    const [failed, worked] = await Promise.allSettled([predict(bad), predict(good)]);
    expect(failed.status).toBe('rejected');
    expectTorchError((failed as PromiseRejectedResult).reason, {
      code: 'ERR_TORCH',
      op: 'predictAsync',
      message: 'Expected images of shape [B, 3, H, W] but received [1, 1, 64, 64]',
    });
    expect(worked.status).toBe('fulfilled');
    dispose(bad, good, ...(worked as PromiseFulfilledResult<Tensor[]>).value);
  });

  it('refuses wrong arguments at once', () => {
    const before = memory();
    expectTorchError(
      caught(() => native.predictAsync(model.handle, 'image' as never, [1], 0)),
      {
        code: 'ERR_INVALID_ARG',
        op: 'predictAsync',
        message: "Expected a Tensor for argument 'images' of predictAsync() but received the string 'image'",
      },
    );
    const gone = images(64);
    gone.dispose();
    expectTorchError(
      caught(() => native.predictAsync(model.handle, Tensor.handle(gone), [1], 0)),
      { code: 'ERR_DISPOSED', op: 'predictAsync', message: "passed as 'images'" },
    );
    expect(memory()).toEqual(before);
  });

  it('holds its inputs: image and model may be disposed while it works', async () => {
    const temporary = new WeTr({ backbone: 'mit_b0', numClasses: 2 }).eval();
    const input = images(64);
    const expected = noGrad(() => temporary.forward(input, { cls: true }));
    const pending = predict(input, [1], temporary);
    temporary.dispose();
    input.dispose();
    const outputs = await pending;
    expectClose(numbers(outputs[0]!), numbers(expected.cls!), 1e-5);
    dispose(...outputs, expected.cls!);
  });

  it('leaves no tensor behind when all are disposed', async () => {
    const before = memory();
    for (let k = 0; k < 5; k++) {
      const input = images(64);
      const outputs = await predict(input);
      expect(memory().liveTensors).toBe(before.liveTensors + 4);
      dispose(input, ...outputs);
      const bad = Tensor.zeros([1]);
      await expect(predict(bad)).rejects.toThrow('predictAsync()');
      bad.dispose();
    }
    expect(memory()).toEqual(before);
  });

  it('does not change the caller’s gradient mode, nor takes it over', async () => {
    const input = images(64);
    native.setGradEnabled(false);
    const pending = predict(input);
    native.setGradEnabled(true);
    expect(native.isGradEnabled()).toBe(true);
    const outputs = await pending;
    expect(native.isGradEnabled()).toBe(true);
    dispose(input, ...outputs);
  });
});
