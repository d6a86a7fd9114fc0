/**
 * Writes pickles of plain values, and of those objects that the caller describes by the classes below.
 * Protocol 2 is what PyTorch's weights_only reader takes; 4 has a bytes type, which numpy arrays need.
 */

import { PyFloat, PyGlobal, PyList, PyPersistent, PyReduce, PyTuple } from './python-values.js';

export interface PickleOptions {
  protocol: 2 | 4;
  /** Describes the caller's own objects by the classes above; undefined for all others. */
  describe: (value: object) => PyReduce | undefined;
}

/**
 * Pickles null, booleans, numbers (whole ones as int, see `PyFloat`), bigints, strings, arrays (as list),
 * Maps (as dict), bytes (protocol 4) and what `describe` knows. Bytes are passed on as parts, not copied.
 * @throws TypeError that names the entry which cannot be written
 */
export function pickle(value: unknown, options: PickleOptions): Uint8Array[] {
  const writer = new PickleWriter(options);
  writer.op(0x80, options.protocol); // PROTO
  writer.write(value);
  writer.op(0x2e); // STOP
  return writer.parts;
}

class PickleWriter {
  readonly parts: Uint8Array[] = [];
  /** Keys and indices from the root to the value being written, for messages. */
  private readonly path: unknown[] = [];
  private readonly open = new Set<object>();

  constructor(private readonly options: PickleOptions) {}

  op(code: number, ...rest: number[]): void {
    this.parts.push(Uint8Array.of(code, ...rest));
  }

  write(value: unknown): void {
    if (value === null)
      this.op(0x4e); // NONE
    else if (typeof value === 'boolean')
      this.op(value ? 0x88 : 0x89); // NEWTRUE, NEWFALSE
    else if (typeof value === 'number') this.number(value);
    else if (typeof value === 'bigint') this.long(value);
    else if (typeof value === 'string') this.string(value);
    else if (typeof value === 'object') this.object(value);
    else throw this.unwritable(typeof value);
  }

  private number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.float(value);
    else if (value >= 0 && value < 256)
      this.op(0x4b, value); // BININT1
    else if (value === (value | 0))
      this.sized(0x4a, 4, (b) => b.writeInt32LE(value, 1)); // BININT
    else this.long(BigInt(value));
  }

  private float(value: number): void {
    this.sized(0x47, 8, (b) => b.writeDoubleBE(value, 1)); // BINFLOAT
  }

  private sized(code: number, bytes: number, fill: (buffer: Buffer) => void): void {
    const buffer = Buffer.alloc(1 + bytes);
    buffer[0] = code;
    fill(buffer);
    this.parts.push(buffer);
  }

  /** LONG1: up to 255 bytes of two's complement, little-endian. */
  private long(value: bigint): void {
    let bytes = 1;
    while (BigInt.asIntN(8 * bytes, value) !== value) bytes++;
    if (bytes > 255) throw this.unwritable('an integer of more than 255 bytes');
    const digits: number[] = [];
    for (let i = 0; i < bytes; i++) digits.push(Number(BigInt.asUintN(8, value >> BigInt(8 * i))));
    this.op(0x8a, bytes, ...digits);
  }

  private string(value: string): void {
    const text = Buffer.from(value, 'utf8');
    this.sized(0x58, 4, (b) => b.writeUInt32LE(text.length, 1)); // BINUNICODE
    this.parts.push(text);
  }

  private bytes(value: Uint8Array): void {
    if (this.options.protocol < 4) throw this.unwritable('bytes (give a uint8 tensor instead)');
    this.sized(0x8e, 8, (b) => b.writeBigUInt64LE(BigInt(value.byteLength), 1)); // BINBYTES8
    this.parts.push(value);
  }

  private object(value: object): void {
    if (value instanceof PyFloat) this.float(value.value);
    else if (value instanceof PyTuple) this.tuple(value);
    else if (value instanceof PyList) this.list(value.items, (item) => this.write(item));
    else if (value instanceof PyGlobal) this.global(value);
    else if (value instanceof PyReduce) this.reduce(value);
    else if (value instanceof PyPersistent) this.persistent(value);
    else if (value instanceof Uint8Array) this.bytes(value);
    else this.container(value);
  }

  private container(value: object): void {
    if (this.open.has(value)) throw this.unwritable('a value that contains itself');
    this.open.add(value);
    if (Array.isArray(value)) this.list(value, (item, i) => this.at(i, item));
    else if (value instanceof Map) this.dict(value);
    else {
      const description = this.describe(value);
      if (!description) throw this.unwritable(`an object of class ${value.constructor?.name}`);
      this.reduce(description);
    }
    this.open.delete(value);
  }

  private list(items: readonly unknown[], write: (item: unknown, index: number) => void): void {
    this.op(0x5d, 0x28); // EMPTY_LIST, MARK
    items.forEach(write);
    this.op(0x65); // APPENDS
  }

  private dict(entries: ReadonlyMap<unknown, unknown>): void {
    this.op(0x7d, 0x28); // EMPTY_DICT, MARK
    for (const [key, value] of entries) {
      this.write(key);
      this.at(key, value);
    }
    this.op(0x75); // SETITEMS
  }

  private at(key: unknown, value: unknown): void {
    this.path.push(key);
    this.write(value);
    this.path.pop();
  }

  private tuple({ items }: PyTuple): void {
    this.op(0x28); // MARK
    for (const item of items) this.write(item);
    this.op(0x74); // TUPLE
  }

  private global({ module, name }: PyGlobal): void {
    this.op(0x63); // GLOBAL
    this.parts.push(Buffer.from(`${module}\n${name}\n`, 'utf8'));
  }

  private reduce({ callee, args, state }: PyReduce): void {
    this.global(callee);
    this.tuple(args);
    this.op(0x52); // REDUCE
    if (!state) return;
    this.tuple(state);
    this.op(0x62); // BUILD
  }

  private persistent({ id }: PyPersistent): void {
    this.tuple(id);
    this.op(0x51); // BINPERSID
  }

  private describe(value: object): PyReduce | undefined {
    try {
      return this.options.describe(value);
    } catch (cause) {
      throw new TypeError(`Cannot write ${this.where()}: ${(cause as Error).message}`, { cause });
    }
  }

  private where(): string {
    return this.path.length > 0 ? `entry ${this.path.join('.')}` : 'the value';
  }

  private unwritable(received: string): TypeError {
    const allowed = 'null, booleans, numbers, strings, arrays, Maps or tensors';
    return new TypeError(`Expected ${allowed} for ${this.where()} but received ${received}.`);
  }
}
