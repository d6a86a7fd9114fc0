/** Reads zip archives whose entries are stored (not compressed), as PyTorch writes them. */
import { FileFormatError } from './file-error.js';
import type { RandomAccessFile } from './random-access.js';

/** Where an entry's bytes lie in the archive. */
export interface ZipEntry {
  name: string;
  offset: number;
  size: number;
  isCompressed: boolean;
}

export const ZIP = {
  localHeader: 0x04034b50,
  directoryHeader: 0x02014b50,
  directoryEnd: 0x06054b50,
  directoryEnd64: 0x06064b50,
  directoryLocator64: 0x07064b50,
  zip64Extra: 0x0001,
  /** A 32-bit field with this value stands in the zip64 extra field instead. */
  in64: 0xffffffff,
} as const;

/** The end record is 22 bytes and a comment of at most 65,535; the zip64 locator before it has 20. */
const MAX_END_BYTES = 22 + 0xffff + 20;

function damaged(path: string, received: string): FileFormatError {
  return new FileFormatError({
    path,
    expected: 'a whole zip archive',
    received,
    remedy: 'The file is truncated or damaged: copy or create it again.',
  });
}

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The archive's directory: where it lies and how many entries it has. */
function findDirectory(file: RandomAccessFile): { offset: number; size: number; count: number } {
  const tailLength = Math.min(file.size, MAX_END_BYTES);
  const tail = buffer(file.read(file.size - tailLength, tailLength, 'the end of the archive'));
  const signature = Buffer.alloc(4);
  signature.writeUInt32LE(ZIP.directoryEnd);
  const end = tail.lastIndexOf(signature);
  if (end < 0 || end + 22 > tail.length) throw damaged(file.path, 'an archive without its end record');
  const locator = end - 20;
  if (locator < 0 || tail.readUInt32LE(locator) !== ZIP.directoryLocator64) {
    return {
      count: tail.readUInt16LE(end + 10),
      size: tail.readUInt32LE(end + 12),
      offset: tail.readUInt32LE(end + 16),
    };
  }
  const end64 = buffer(file.read(Number(tail.readBigUInt64LE(locator + 8)), 56, 'the zip64 end record'));
  if (end64.readUInt32LE(0) !== ZIP.directoryEnd64) throw damaged(file.path, 'a wrong zip64 end record');
  const [count, size, offset] = [32, 40, 48].map((at) => Number(end64.readBigUInt64LE(at)));
  return { count: count!, size: size!, offset: offset! };
}

/** Sizes and offset of a directory entry: 64-bit ones stand, in this order, in an extra field where 32 do not do. */
function entryExtent(entry: Buffer, extra: Buffer): { size: number; stored: number; offset: number } {
  const values = [entry.readUInt32LE(24), entry.readUInt32LE(20), entry.readUInt32LE(42)];
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== ZIP.zip64Extra) continue;
    let next = at + 4;
    for (const [i, value] of values.entries()) {
      if (value !== ZIP.in64) continue;
      values[i] = Number(extra.readBigUInt64LE(next));
      next += 8;
    }
  }
  return { size: values[0]!, stored: values[1]!, offset: values[2]! };
}

/**
 * All entries by name. CRCs are not compared: PyTorch itself does not, and can be told to write other sums.
 * @throws FileFormatError when the archive is truncated or damaged
 */
export function readZipDirectory(file: RandomAccessFile): Map<string, ZipEntry> {
  const { offset, size, count } = findDirectory(file);
  const directory = buffer(file.read(offset, size, "the archive's directory"));
  const entries = new Map<string, ZipEntry>();
  try {
    for (let at = 0, i = 0; i < count; i++) {
      if (directory.readUInt32LE(at) !== ZIP.directoryHeader)
        throw damaged(file.path, 'a wrong directory entry');
      const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) =>
        directory.readUInt16LE(at + o),
      );
      const extraStart = at + 46 + nameLength!;
      const name = directory.toString('utf8', at + 46, extraStart);
      const extent = entryExtent(
        directory.subarray(at, at + 46),
        directory.subarray(extraStart, extraStart + extraLength!),
      );
      const isCompressed = directory.readUInt16LE(at + 10) !== 0 || extent.size !== extent.stored;
      entries.set(name, {
        name,
        size: extent.size,
        offset: dataStart(file, name, extent.offset),
        isCompressed,
      });
      at = extraStart + extraLength! + commentLength!;
    }
  } catch (error) {
    // A Buffer read past the directory's end.
    if (error instanceof RangeError) throw damaged(file.path, 'a directory that ends too early');
    throw error;
  }
  return entries;
}

/** Reads an entry whole. @throws FileFormatError when it is compressed */
export function readZipEntry(file: RandomAccessFile, entry: ZipEntry): Uint8Array {
  refuseCompressed(file.path, entry);
  return file.read(entry.offset, entry.size, `the entry ${entry.name}`);
}

/** Compressed entries cannot be read in parts; PyTorch has none. */
export function refuseCompressed(path: string, { name, isCompressed }: ZipEntry): void {
  if (!isCompressed) return;
  throw new FileFormatError({
    path,
    expected: 'a zip archive of stored entries',
    received: `the compressed entry ${name}`,
    remedy: 'The archive was packed by another program: save it again with torch.save.',
  });
}

/** Bytes follow a local header, whose extra field (PyTorch's padding) differs from the directory's. */
function dataStart(file: RandomAccessFile, name: string, headerOffset: number): number {
  const header = buffer(file.read(headerOffset, 30, `the header of ${name}`));
  if (header.readUInt32LE(0) !== ZIP.localHeader) throw damaged(file.path, `a wrong header of entry ${name}`);
  return headerOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
}
