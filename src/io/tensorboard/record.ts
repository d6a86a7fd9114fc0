/**
 * TFRecord framing: uint64 length, masked CRC-32C of it, the data, masked CRC-32C of them; all little-endian
 * (tensorflow/core/lib/io/record_writer.h).
 */
import { FileFormatError } from '../file-error.js';
import { maskedCrc32c } from './crc32c.js';

const HEADER_BYTES = 12;
const FOOTER_BYTES = 4;

/** One record's bytes, header and footer included. */
export function frameRecord(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(HEADER_BYTES + data.length + FOOTER_BYTES);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(data, HEADER_BYTES);
  record.writeUInt32LE(maskedCrc32c(data), HEADER_BYTES + data.length);
  return record;
}

/** A file's records, and the bytes of a last one that was cut short: what a killed writer leaves. */
export interface Records {
  records: Uint8Array[];
  /** Bytes after the last whole record; 0 for a file that was ended well. */
  torn: number;
}

/**
 * Splits a record file; the records share its memory.
 * @param source the file's name, for messages
 * @throws FileFormatError that numbers the record whose checksum is wrong; what merely ends early is no fault
 */
export function splitRecords(bytes: Uint8Array, source: string): Records {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: Uint8Array[] = [];
  const check = (what: string, data: Uint8Array, at: number, start: number) => {
    const [received, expected] = [file.readUInt32LE(at), maskedCrc32c(data)];
    if (received !== expected) throw corrupt(source, records.length, start, what, expected, received);
  };
  let start = 0;
  while (start + HEADER_BYTES <= file.length) {
    check('length', file.subarray(start, start + 8), start + 8, start);
    const length = Number(file.readBigUInt64LE(start));
    const end = start + HEADER_BYTES + length + FOOTER_BYTES;
    if (end > file.length) break;
    const data = file.subarray(start + HEADER_BYTES, end - FOOTER_BYTES);
    check('data', data, end - FOOTER_BYTES, start);
    records.push(data);
    start = end;
  }
  return { records, torn: file.length - start };
}

const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;

function corrupt(path: string, index: number, at: number, what: string, crc: number, found: number) {
  return new FileFormatError({
    path,
    expected: `checksum ${hex(crc)} for the ${what} of record ${index} (byte ${at})`,
    received: hex(found),
    remedy: 'The file is damaged from there on, or no event file: copy it again.',
  });
}
