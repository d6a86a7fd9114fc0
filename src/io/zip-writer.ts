/** Writes zip archives of stored entries, laid out as PyTorch lays them out: bytes aligned for memory mapping. */
import { crc32 } from './crc32.js';
import { ZIP } from './zip-reader.js';

export interface ZipContent {
  name: string;
  data: Uint8Array;
}

/** PyTorch aligns every entry's bytes to this, so that a mapped file serves as tensors. */
const ALIGNMENT = 64;
/** The id of PyTorch's padding field. */
const PADDING_EXTRA = 0x4246;
const UTF8_NAMES = 0x0800;
const VERSION = { plain: 20, zip64: 45 } as const;

interface Written {
  name: Buffer;
  crc: number;
  size: number;
  offset: number;
}

/** Seconds since 1980 in MS-DOS form; a fixed date, so that equal contents give equal files. */
const DOS_DATE = (0 << 9) | (1 << 5) | 1;

/** The archive's parts in order; entry data are passed on, not copied, and nothing is held but the directory. */
export function* zipChunks(contents: Iterable<ZipContent>): Generator<Uint8Array> {
  const written: Written[] = [];
  let position = 0;
  for (const { name, data } of contents) {
    const entry: Written = {
      name: Buffer.from(name, 'utf8'),
      crc: crc32(data),
      size: data.byteLength,
      offset: position,
    };
    const header = localHeader(entry);
    yield header;
    yield data;
    position += header.length + data.byteLength;
    written.push(entry);
  }
  const directory = Buffer.concat(written.map(directoryHeader));
  yield directory;
  yield directoryEnd(written.length, directory.length, position);
}

const needs64 = (value: number): boolean => value >= ZIP.in64;

/** Extra field of those values that do not fit 32 bits, in the order that the format fixes. */
function zip64Extra(values: number[]): Buffer {
  const large = values.filter(needs64);
  if (large.length === 0) return Buffer.alloc(0);
  const extra = Buffer.alloc(4 + 8 * large.length);
  extra.writeUInt16LE(ZIP.zip64Extra, 0);
  extra.writeUInt16LE(8 * large.length, 2);
  for (const [i, value] of large.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
  return extra;
}

/** Fields that local and directory headers share, from `version needed` to `extra length`: 26 bytes. */
function commonFields({ name, crc, size }: Written, version: number, extraLength: number): Buffer {
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(version, 0);
  fields.writeUInt16LE(UTF8_NAMES, 2);
  fields.writeUInt16LE(DOS_DATE, 8);
  fields.writeUInt32LE(crc, 10);
  fields.writeUInt32LE(Math.min(size, ZIP.in64), 14);
  fields.writeUInt32LE(Math.min(size, ZIP.in64), 18);
  fields.writeUInt16LE(name.length, 22);
  fields.writeUInt16LE(extraLength, 24);
  return fields;
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

function localHeader(entry: Written): Buffer {
  const large = zip64Extra([entry.size, entry.size]);
  const start = entry.offset + 30 + entry.name.length + large.length + 4;
  const padding = Buffer.alloc(4 + ((ALIGNMENT - (start % ALIGNMENT)) % ALIGNMENT), 'Z');
  padding.writeUInt16LE(PADDING_EXTRA, 0);
  padding.writeUInt16LE(padding.length - 4, 2);
  const version = large.length > 0 ? VERSION.zip64 : VERSION.plain;
  const fields = commonFields(entry, version, large.length + padding.length);
  return Buffer.concat([uint32(ZIP.localHeader), fields, entry.name, large, padding]);
}

function directoryHeader(entry: Written): Buffer {
  const extra = zip64Extra([entry.size, entry.size, entry.offset]);
  const version = extra.length > 0 ? VERSION.zip64 : VERSION.plain;
  const madeBy = Buffer.from([version, 0]);
  // Comment length, disk, attributes: all zero; then where the local header lies.
  const rest = Buffer.alloc(14);
  rest.writeUInt32LE(Math.min(entry.offset, ZIP.in64), 10);
  const fields = commonFields(entry, version, extra.length);
  return Buffer.concat([uint32(ZIP.directoryHeader), madeBy, fields, rest, entry.name, extra]);
}

function directoryEnd(count: number, size: number, offset: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(ZIP.directoryEnd, 0);
  end.writeUInt16LE(Math.min(count, 0xffff), 8);
  end.writeUInt16LE(Math.min(count, 0xffff), 10);
  end.writeUInt32LE(Math.min(size, ZIP.in64), 12);
  end.writeUInt32LE(Math.min(offset, ZIP.in64), 16);
  if (count < 0xffff && !needs64(size) && !needs64(offset)) return end;
  const end64 = Buffer.alloc(56 + 20);
  end64.writeUInt32LE(ZIP.directoryEnd64, 0);
  end64.writeBigUInt64LE(44n, 4);
  end64.writeUInt16LE(VERSION.zip64, 12);
  end64.writeUInt16LE(VERSION.zip64, 14);
  for (const at of [24, 32]) end64.writeBigUInt64LE(BigInt(count), at);
  end64.writeBigUInt64LE(BigInt(size), 40);
  end64.writeBigUInt64LE(BigInt(offset), 48);
  end64.writeUInt32LE(ZIP.directoryLocator64, 56);
  end64.writeBigUInt64LE(BigInt(offset + size), 64);
  end64.writeUInt32LE(1, 72);
  return Buffer.concat([end64, end]);
}
