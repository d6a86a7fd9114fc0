import { expect, it } from 'vitest';
import { BackgroundWrites } from '../../src/export/background-writes.js';

/** A write that ends when it is told to. */
function held() {
  let end!: () => void;
  let fail!: (error: Error) => void;
  const done = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  return { write: () => done, end, fail };
}

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  const turns = new Promise((resolve) => setTimeout(resolve, 20));
  return Promise.race([promise.then(() => true), turns.then(() => false)]);
};

it('takes results while there is room in bytes, and waits for a write where there is none', async () => {
  const writes = new BackgroundWrites(100);
  const [first, second, third] = [held(), held(), held()];
  await writes.add(60, first.write);
  await writes.add(40, second.write);
  const waiting = writes.add(1, third.write);
  expect(await settled(waiting)).toBe(false);
  expect(writes.bytes).toBe(100);
  second.end();
  await waiting;
  expect(writes.bytes).toBe(61);
  first.end();
  third.end();
  await writes.finish();
  expect(writes.bytes).toBe(0);
});

it('lets a result that is larger than the budget go alone', async () => {
  const writes = new BackgroundWrites(10);
  const large = held();
  await writes.add(1000, large.write);
  const next = writes.add(1, async () => {});
  expect(await settled(next)).toBe(false);
  large.end();
  await next;
  await writes.finish();
});

it('throws the first failure at the next result and at the end, after all writes have ended', async () => {
  const writes = new BackgroundWrites(100);
  const [bad, slow] = [held(), held()];
  await writes.add(1, bad.write);
  await writes.add(1, slow.write);
  bad.fail(new Error('disk full'));
  await new Promise(setImmediate);
  await expect(writes.add(1, () => expect.fail('a write after a failure'))).rejects.toThrow('disk full');
  const finish = writes.finish();
  expect(await settled(finish.catch(() => {}))).toBe(false);
  slow.end();
  await expect(finish).rejects.toThrow('disk full');
});

it('lets the event loop turn, though results come without a pause', async () => {
  const writes = new BackgroundWrites();
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  await writes.add(1, async () => {});
  expect(turned).toBe(true);
  await writes.finish();
});
