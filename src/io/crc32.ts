/** CRC-32 as zip uses it (IEEE, reflected 0xEDB88320). */
import * as zlib from 'node:zlib';

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = (byte >>> 1) ^ (byte & 1 ? 0xedb88320 : 0);
  return byte;
});

/** zlib counts bytes in 32 bits. */
const MAX_CHUNK = 1 << 30;

/** Checksum of `data`, by zlib (many times faster) where Node has it: from 20.15 on. */
export function crc32(data: Uint8Array): number {
  if (!zlib.crc32) return tableCrc32(data);
  let crc = 0;
  for (let at = 0; at < data.length; at += MAX_CHUNK) {
    crc = zlib.crc32(data.subarray(at, at + MAX_CHUNK), crc);
  }
  return crc;
}

export function tableCrc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}
