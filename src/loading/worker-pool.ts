import { Worker } from 'node:worker_threads';
import type { Warn } from '../datasets/dataset.js';
import { elsewhere, type Track } from '../profile/spans.js';
import type { BatchTask, BuilderSettings, Built } from './batch.js';
import { reviveError, type WorkerMessage } from './messages.js';
import { workerFile } from './worker-file.js';

interface Waiting {
  resolve(built: Built): void;
  reject(error: Error): void;
}

/** Threads that build batches. They keep the process alive only while somebody waits for one (`hold`). */
export class WorkerPool {
  readonly #workers: Worker[];
  readonly #waiting = new Map<number, Waiting>();
  #submitted = 0;
  #failure: Error | undefined;

  constructor(settings: BuilderSettings, count: number, warn: Warn) {
    const file = workerFile('./worker.js', import.meta.url);
    this.#workers = Array.from({ length: count }, () => {
      // The command line's own Node flags (test runners', debuggers') are not the worker's.
      const worker = new Worker(file, { workerData: settings, execArgv: [] });
      worker.unref();
      worker.on('message', (message: WorkerMessage) => this.#receive(message, warn));
      worker.on('error', (error) => this.#fail(error as Error));
      worker.on('exit', (code) => this.#fail(new Error(`A loader worker stopped with code ${code}.`)));
      return worker;
    });
  }

  /** Asks for a task's batches. Tasks go round the workers; each worker answers in order. */
  submit(task: BatchTask): Promise<Built> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#submitted++;
    const answer = new Promise<Built>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#workers[id % this.#workers.length]!.postMessage({ id, task });
    return answer;
  }

  /** Keeps the process alive (true) or lets it end (false) while answers are outstanding. */
  hold(on: boolean): void {
    for (const worker of this.#workers) {
      if (on) worker.ref();
      else worker.unref();
    }
  }

  /** Stops all threads; whatever is still waited for is refused. */
  async close(): Promise<void> {
    this.#fail(new Error('The loader is closed.'));
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #receive(message: WorkerMessage, warn: Warn): void {
    switch (message.kind) {
      case 'warning':
        warn(message.key, message.message);
        break;
      case 'broken':
        this.#fail(reviveError(message.error));
        break;
      case 'built':
        elsewhere('build batch', ...message.work, this.#trackOf(message.id));
        this.#take(message.id)?.resolve(message.built);
        break;
      case 'failed':
        this.#take(message.id)?.reject(reviveError(message.error));
        break;
    }
  }

  /** In a profile: the worker that a task went to, behind the main thread. */
  #trackOf(id: number): Track {
    const worker = id % this.#workers.length;
    return { id: 10 + worker, name: `loader worker ${worker + 1}` };
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
