/** Reads pickles of protocols 2 to 5, as PyTorch and the standard pickler write them (Python's pickletools). */
import { type Operation, PickleMachine, type UnpickleOptions } from './pickle-machine.js';

/**
 * Decodes a pickle: dict -> Map, list, tuple and set -> array, int -> number (bigint beyond 2^53),
 * bytes -> Uint8Array, None -> null.
 * @throws FileFormatError for a name outside the allow-list, a truncated or an unknown pickle
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): unknown {
  return new PickleMachine(bytes, options).run(OPERATIONS);
}

/** Two's complement, little-endian, of any length. */
function longFrom(bytes: Buffer): number | bigint {
  if (bytes.length === 0) return 0;
  const unsigned = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  const value = BigInt.asIntN(8 * bytes.length, unsigned);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [0x80, (m) => m.byte()], // PROTO: only those opcodes are known here that all protocols share
  [0x95, (m) => m.take(8)], // FRAME
  [0x28, (m) => m.mark()], // MARK
  [0x30, (m) => m.pop()], // POP
  [0x31, (m) => m.popToMark()], // POP_MARK
  [0x32, (m) => m.push(m.top())], // DUP
  [0x4e, (m) => m.push(null)], // NONE
  [0x88, (m) => m.push(true)], // NEWTRUE
  [0x89, (m) => m.push(false)], // NEWFALSE
  [0x4b, (m) => m.push(m.byte())], // BININT1
  [0x4d, (m) => m.push(m.take(2).readUInt16LE())], // BININT2
  [0x4a, (m) => m.push(m.take(4).readInt32LE())], // BININT
  [0x8a, (m) => m.push(longFrom(m.take(m.byte())))], // LONG1
  [0x8b, (m) => m.push(longFrom(m.take(m.uint32())))], // LONG4
  [0x47, (m) => m.push(m.take(8).readDoubleBE())], // BINFLOAT
  [0x58, (m) => m.push(m.take(m.uint32()).toString('utf8'))], // BINUNICODE
  [0x8c, (m) => m.push(m.take(m.byte()).toString('utf8'))], // SHORT_BINUNICODE
  [0x54, (m) => m.push(m.take(m.uint32()).toString('latin1'))], // BINSTRING: str of Python 2
  [0x55, (m) => m.push(m.take(m.byte()).toString('latin1'))], // SHORT_BINSTRING
  [0x42, (m) => m.push(new Uint8Array(m.take(m.uint32())))], // BINBYTES
  [0x43, (m) => m.push(new Uint8Array(m.take(m.byte())))], // SHORT_BINBYTES
  [0x71, (m) => m.memoize(m.byte())], // BINPUT
  [0x72, (m) => m.memoize(m.uint32())], // LONG_BINPUT
  [0x94, (m) => m.memoize()], // MEMOIZE
  [0x68, (m) => m.recall(m.byte())], // BINGET
  [0x6a, (m) => m.recall(m.uint32())], // LONG_BINGET
  [0x5d, (m) => m.push([])], // EMPTY_LIST
  [0x8f, (m) => m.push([])], // EMPTY_SET
  [0x29, (m) => m.push([])], // EMPTY_TUPLE
  [0x74, (m) => m.push(m.popToMark())], // TUPLE
  [0x85, (m) => m.push(m.popMany(1))], // TUPLE1
  [0x86, (m) => m.push(m.popMany(2))], // TUPLE2
  [0x87, (m) => m.push(m.popMany(3))], // TUPLE3
  [0x91, (m) => m.push(m.popToMark())], // FROZENSET
  [0x61, (m) => m.append(m.popMany(1))], // APPEND
  [0x65, (m) => m.append(m.popToMark())], // APPENDS
  [0x90, (m) => m.append(m.popToMark())], // ADDITEMS
  [0x7d, (m) => m.push(new Map())], // EMPTY_DICT
  [0x73, (m) => m.setItems(m.popMany(2))], // SETITEM
  [0x75, (m) => m.setItems(m.popToMark())], // SETITEMS
  [0x63, (m) => m.global(m.line(), m.line())], // GLOBAL
  [0x93, (m) => m.global(...(m.popMany(2) as [unknown, unknown]))], // STACK_GLOBAL
  [0x52, (m) => m.call()], // REDUCE
  [0x81, (m) => m.call()], // NEWOBJ
  [0x62, (m) => m.build()], // BUILD
  [0x51, (m) => m.persistent()], // BINPERSID
]);
