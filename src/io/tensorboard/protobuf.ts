/** The part of Protocol Buffers' wire format that event files need (protobuf.dev/programming-guides/encoding). */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const key = (field: number, wireType: number) => varint(BigInt(field * 8 + wireType));

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** Fields of a message, each as its bytes; `message` joins them. */
export const pb = {
  /** int32, int64, enum: negative numbers take ten bytes, as in protobuf. */
  int: (field: number, value: number): Uint8Array =>
    Buffer.concat([key(field, VARINT), varint(BigInt(value))]),
  double(field: number, value: number): Uint8Array {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return Buffer.concat([key(field, FIXED64), bytes]);
  },
  float(field: number, value: number): Uint8Array {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return Buffer.concat([key(field, FIXED32), bytes]);
  },
  /** string, bytes, and messages by their bytes. */
  bytes(field: number, value: Uint8Array | string): Uint8Array {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
    return Buffer.concat([key(field, BYTES), varint(BigInt(bytes.length)), bytes]);
  },
  message: (field: number, ...fields: Uint8Array[]): Uint8Array => pb.bytes(field, Buffer.concat(fields)),
};

/** What a field of the wire holds: an integer, or the bytes of a number, text or message. */
export type WireValue = bigint | Buffer;

/**
 * Reads a message's fields in order; repeated fields come repeatedly.
 * @throws RangeError when the bytes end inside a field or hold a wire type that is not in use
 */
export function* readFields(message: Uint8Array): Generator<[field: number, value: WireValue]> {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError(`a field of ${length} bytes that ends early`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = take(1)[0]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError('a number of more than ten bytes');
  };
  while (at < bytes.length) {
    const tag = Number(number());
    const [field, wireType] = [Math.floor(tag / 8), tag % 8];
    if (wireType === VARINT) yield [field, number()];
    else if (wireType === FIXED64) yield [field, take(8)];
    else if (wireType === BYTES) yield [field, take(Number(number()))];
    else if (wireType === FIXED32) yield [field, take(4)];
    else throw new RangeError(`wire type ${wireType}`);
  }
}
