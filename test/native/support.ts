/** Shared by the tests of the addon: reading tensors as numbers, checking errors, child processes. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { TorchError } from '../../src/native/index.js';
import type { Tensor, TensorData } from '../../src/tensor/index.js';

/** The elements as numbers. */
export const numbers = (tensor: Tensor): number[] => Array.from(tensor.data() as ArrayLike<number>, Number);

/** Values, shape and dtype in one comparable object. */
export const facts = (tensor: Tensor) => ({
  values: numbers(tensor),
  shape: [...tensor.shape],
  dtype: tensor.dtype,
});

export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= tolerance * Math.max(1, Math.abs(expected[i]!))))
      expect.fail(`element ${i}: expected ${expected[i]} within ${tolerance} but received ${actual[i]}`);
  }
}

/** What libtorch's own messages carry when nobody cuts them: frames and file positions of C++. */
const BACKTRACE = /Exception raised from|frame #\d|\.cpp:\d+ \(most recent|\bc10::/;

export function caught(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  return expect.fail('Expected an exception but none was thrown');
}

/** Checks class, code, operation and text of a TorchError, and that no C++ backtrace is in it. */
export function expectTorchError(
  error: unknown,
  { code, op, message }: { code: string; op: string; message: RegExp | string },
): void {
  if (!(error instanceof TorchError)) throw error;
  expect(error.name).toBe('TorchError');
  expect({ code: error.code, op: error.op }).toEqual({ code, op });
  expect(error.message).toMatch(message);
  expect(error.message).toContain(`${op}()`);
  expect(error.message).not.toMatch(BACKTRACE);
}

/** The elements of a typed array that every dtype can hold, as that dtype's bits. */
export const bytesOf = (data: TensorData): number[] => [
  ...new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
];

const dist = new URL('../../dist/', import.meta.url).href;

export interface ChildResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs module code in a Node process of its own, on compiled JavaScript; `DIST` in it stands for dist/'s address.
 * A crash of the addon ends that process, not the tests.
 */
export function runChild(
  code: string,
  { flags = [] as string[], env = {} as Record<string, string>, timeout = 60_000 } = {},
): Promise<ChildResult> {
  const source = code.replaceAll('DIST/', dist);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', source], {
      cwd: fileURLToPath(new URL('../../', import.meta.url)),
      env: { ...process.env, OMP_NUM_THREADS: '1', NODE_OPTIONS: '', ...env },
      timeout,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (exitCode, signal) => resolve({ code: exitCode, signal, stdout, stderr }));
  });
}

/** Runs a child that prints one JSON document and ends well. */
export async function childJson<T>(code: string, options?: Parameters<typeof runChild>[1]): Promise<T> {
  const result = await runChild(code, options);
  if (result.code !== 0)
    throw new Error(`The child ended with ${result.code ?? result.signal}:\n${result.stderr}`);
  return JSON.parse(result.stdout) as T;
}
