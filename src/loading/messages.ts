/** What the loader and its workers say to each other. */
import { UsageError } from '../config/errors.js';
import type { Batch, BatchTask, Built } from './batch.js';

export interface TaskMessage {
  id: number;
  task: BatchTask;
}

/** An error as plain data: classes do not survive the way between threads. */
export interface ErrorMessage {
  usage: boolean;
  message: string;
  stack: string | undefined;
}

export type WorkerMessage =
  /** `work`: from when to when, by the clock of src/profile. */
  | { kind: 'built'; id: number; built: Built; work: readonly [start: number, end: number] }
  | { kind: 'failed'; id: number; error: ErrorMessage }
  /** No dataset, so no batch will ever come. */
  | { kind: 'broken'; error: ErrorMessage }
  | { kind: 'warning'; key: string; message: string };

export function describeError(error: unknown): ErrorMessage {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { usage: error instanceof UsageError, message, stack };
}

/** The error of the worker, of the same class and with the worker's stack. */
export function reviveError({ usage, message, stack }: ErrorMessage): Error {
  const error = usage ? new UsageError(message) : new Error(message);
  if (stack) error.stack = stack;
  return error;
}

/** Buffers of batches, to be moved instead of copied. */
export function buffersOf(batches: readonly Batch[]): ArrayBuffer[] {
  const views = batches.flatMap(({ pixels, labels, boxes, masks = [] }) => [
    pixels.data,
    ...(pixels.kind === 'bytes' ? [pixels.mirrored] : []),
    labels,
    boxes,
    ...masks.flatMap((mask) => (mask ? [mask.data] : [])),
  ]);
  return views.map((view) => view.buffer as ArrayBuffer);
}
