import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { DataWait } from '../../src/training/data-wait.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] }));
afterEach(() => void vi.useRealTimers());

const after = (ms: number) => new Promise<string>((resolve) => setTimeout(() => resolve('batch'), ms));

async function iteration(wait: DataWait, waiting: number, computing: number): Promise<void> {
  const batch = wait.during(after(waiting));
  await vi.advanceTimersByTimeAsync(waiting);
  expect(await batch).toBe('batch');
  await vi.advanceTimersByTimeAsync(computing);
  wait.stepped();
}

it('is the share of whole iterations, since the last call and in all', async () => {
  const wait = new DataWait();
  expect([wait.take(), wait.overall]).toEqual([null, null]);
  await iteration(wait, 10, 90);
  await iteration(wait, 0, 300);
  expect(wait.take()).toBe(0.025);
  await iteration(wait, 100, 0);
  expect([wait.take(), wait.overall]).toEqual([1, 0.22]);
});

it('counts nothing between iterations: neither a validation nor its own waiting', async () => {
  const wait = new DataWait();
  await iteration(wait, 1, 99);
  await vi.advanceTimersByTimeAsync(5000);
  await iteration(wait, 3, 97);
  expect(wait.overall).toBe(0.02);
});

it('passes on what the loader refuses', async () => {
  await expect(new DataWait().during(Promise.reject(new Error('damaged')))).rejects.toThrow('damaged');
});
