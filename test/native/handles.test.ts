/** Handles that are disposed, foreign or no handles at all, and devices that are not there. */
import { createServer } from 'node:net';
import { types } from 'node:util';
import { describe, expect, it } from 'vitest';
import { native, TorchError } from '../../src/native/index.js';
import { deviceAvailable, memory, scope, Tensor } from '../../src/tensor/index.js';
import { caught, expectTorchError } from './support.js';

const f = () => Tensor.from([1, 2, 3]);
const wrong = (value: unknown) => value as never;
const INVALID = 'ERR_INVALID_ARG';

describe('handles', () => {
  it('that are disposed are named', () => {
    const [x, y] = [f(), f()];
    y.dispose();
    const disposed = { code: 'ERR_DISPOSED', op: 'add' };
    expectTorchError(
      caught(() => y.add(1)),
      { ...disposed, message: "passed as 'self' to add()" },
    );
    expectTorchError(
      caught(() => x.add(y)),
      { ...disposed, message: "passed as 'other' to add()" },
    );
    expectTorchError(
      caught(() => Tensor.cat([x, y])),
      { ...disposed, op: 'cat', message: "'tensors[1]'" },
    );
    expectTorchError(
      caught(() => y.data()),
      { ...disposed, op: 'dtype', message: 'already disposed' },
    );
    x.dispose();
  });

  it('that are used again do not bring a disposed tensor back', () => {
    const before = memory();
    for (let k = 0; k < 300; k++) {
      const old = f();
      old.dispose();
      // Takes the handle that was just given back.
      const next = f().mul(2);
      old.dispose();
      expect([old.isDisposed, next.isDisposed]).toEqual([true, false]);
      expect(() => old.add(1)).toThrow('already disposed');
      expect([...next.data()]).toEqual([2, 4, 6]);
      next.dispose();
      if (k % 100 === 0) for (const one of Array.from({ length: 5000 }, f)) one.dispose();
    }
    // What mul() was applied to is garbage that nobody disposed of.
    expect(memory().liveTensors - before.liveTensors).toBe(300);
  });

  it('of another addon are refused before they are read', async () => {
    const server = createServer().listen(0);
    const { _handle } = server as unknown as { _handle: { _externalStream: unknown } };
    const foreign = _handle._externalStream;
    expect(types.isExternal(foreign)).toBe(true);
    const message = "Expected a Tensor for argument 'self' of sum() but received an object";
    expectTorchError(
      caught(() => native.sum(wrong(foreign), undefined, false)),
      { code: INVALID, op: 'sum', message },
    );
    expectTorchError(
      caught(() => native.wetrParameters(wrong(foreign))),
      { code: INVALID, op: 'wetrParameters', message: 'Expected a WeTr model' },
    );
    await new Promise((done) => server.close(done));
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a bigint', 3n, 'a bigint'],
    ['a function', () => 1, 'a function'],
    ['a boolean', true, 'true'],
    ['a symbol', Symbol('x'), 'an object'],
    ['a long string', 'x'.repeat(99), `the string '${'x'.repeat(40)}'`],
    ['an array', [1, 2], 'an array of 2'],
  ])('%s given to the addon itself is described', (_, value, received) => {
    const message = `Expected a Tensor for argument 'self' of neg() but received ${received}`;
    expectTorchError(
      caught(() => native.neg(wrong(value))),
      { code: INVALID, op: 'neg', message },
    );
  });

  it('a failed call leaves no tensor behind', () => {
    const x = f();
    const before = memory();
    for (let k = 0; k < 50; k++) {
      caught(() => x.reshape(2));
      caught(() => x.add(wrong('a')));
      caught(() => native.fromTypedArray(new Float32Array(2000), [3], 0));
    }
    expect(memory()).toEqual(before);
    x.dispose();
  });
});

describe('devices that are not there', () => {
  for (const device of ['cuda', 'mps'] as const)
    it.skipIf(deviceAvailable(device))(`${device}: one readable paragraph`, () =>
      scope(() => {
        for (const call of [() => Tensor.zeros([1], 'float32', device), () => f().to({ device })]) {
          const error = caught(call) as TorchError;
          expect(error).toBeInstanceOf(TorchError);
          expect(error.message).toMatch(new RegExp(device, 'i'));
          expect(error.message.length, error.message.slice(0, 200)).toBeLessThan(400);
        }
      }),
    );
});
