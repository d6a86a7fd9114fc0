/**
 * A pickle machine that runs nothing: the only functions it can call are those of the caller's allow-list,
 * and any other name in the file stops it before something is done with it. Opcodes: pickle-reader.ts.
 */
import { FileFormatError } from './file-error.js';

export interface UnpickleOptions {
  /** The file's name, for messages. */
  source: string;
  /** `module.name` -> a function (called with the pickled arguments) or an inert value. */
  globals: ReadonlyMap<string, unknown>;
  /** Resolves what the pickler stored outside the pickle (PyTorch: storages). */
  persistentLoad: (id: unknown) => unknown;
}

/** Objects with a state of their own take it here, under Python's name for it. */
export interface Stateful {
  __setstate__(state: unknown): void;
}

const isStateful = (value: unknown): value is Stateful =>
  typeof (value as Partial<Stateful> | null)?.__setstate__ === 'function';

/** What one opcode does to the machine. */
export type Operation = (machine: PickleMachine) => void;

const STOP = 0x2e;

export class PickleMachine {
  private readonly buffer: Buffer;
  private position = 0;
  private readonly stack: unknown[] = [];
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, unknown>();

  constructor(
    bytes: Uint8Array,
    private readonly options: UnpickleOptions,
  ) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Runs to the STOP opcode and returns the value that is then on top. */
  run(operations: ReadonlyMap<number, Operation>): unknown {
    for (;;) {
      const code = this.byte();
      if (code === STOP) return this.pop();
      const operation = operations.get(code);
      if (!operation) throw this.damaged(`opcode 0x${code.toString(16)} at byte ${this.position - 1}`);
      operation(this);
    }
  }

  damaged(received: string): FileFormatError {
    return new FileFormatError({
      path: this.options.source,
      expected: 'a valid pickle (protocol 2 to 5)',
      received,
      remedy: 'The file is damaged or of another kind: copy or create it again.',
    });
  }

  // Input

  take(length: number): Buffer {
    if (this.position + length > this.buffer.length) throw this.damaged('one that ends too early');
    this.position += length;
    return this.buffer.subarray(this.position - length, this.position);
  }

  byte = (): number => this.take(1).readUInt8();
  uint32 = (): number => this.take(4).readUInt32LE();

  line(): string {
    const end = this.buffer.indexOf(0x0a, this.position);
    if (end < 0) throw this.damaged('one that ends too early');
    return this.take(end + 1 - this.position)
      .subarray(0, -1)
      .toString('utf8');
  }

  // Stack and memo

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    return this.popMany(1)[0];
  }

  popMany(count: number): unknown[] {
    if (this.stack.length < count) throw this.damaged('one that takes a value where there is none');
    return this.stack.splice(this.stack.length - count);
  }

  mark(): void {
    this.marks.push(this.stack.length);
  }

  popToMark(): unknown[] {
    const mark = this.marks.pop();
    if (mark === undefined || mark > this.stack.length) throw this.damaged('one with an unmatched mark');
    return this.stack.splice(mark);
  }

  top(): unknown {
    if (this.stack.length === 0) throw this.damaged('one that looks at a value where there is none');
    return this.stack.at(-1);
  }

  memoize(index = this.memo.size): void {
    this.memo.set(index, this.top());
  }

  recall(index: number): void {
    if (!this.memo.has(index)) throw this.damaged(`one that recalls value ${index} before it is there`);
    this.push(this.memo.get(index));
  }

  // Building

  append(items: unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.damaged('one that appends to what is no list');
    for (const item of items) list.push(item);
  }

  setItems(items: unknown[]): void {
    const dict = this.top();
    if (!(dict instanceof Map) || items.length % 2 !== 0)
      throw this.damaged('one that sets items of what is no dict');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  global(module: unknown, name: unknown): void {
    const { globals, source } = this.options;
    const qualified = `${module}.${name}`;
    if (!globals.has(qualified)) {
      throw new FileFormatError({
        path: source,
        expected: 'only tensors and plain Python values',
        received: `a reference to ${qualified}, which is refused because loading it could run code`,
        remedy: 'In Python, save only the weights: torch.save(model.state_dict(), path).',
      });
    }
    this.push(globals.get(qualified));
  }

  call(): void {
    const [callee, args] = this.popMany(2);
    // Every function on the stack came from the allow-list: there is no other source of functions.
    if (typeof callee !== 'function' || !Array.isArray(args))
      throw this.damaged('one that calls what is no function');
    this.push(this.guard(() => callee(...args)));
  }

  build(): void {
    const state = this.pop();
    const target = this.top();
    if (isStateful(target)) this.guard(() => target.__setstate__(state));
    // Attributes set on a dict subclass, such as `_metadata` of a module's state dict, are no entries.
    else if (!(target instanceof Map)) throw this.damaged('one that sets attributes of a plain value');
  }

  /** Arguments that a function of the allow-list cannot use are the file's fault. */
  private guard<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError) throw this.damaged(error.message);
      throw error;
    }
  }

  persistent(): void {
    this.push(this.options.persistentLoad(this.pop()));
  }
}
