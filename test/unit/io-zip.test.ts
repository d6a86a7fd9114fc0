import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crc32, tableCrc32 } from '../../src/io/crc32.js';
import { withFile } from '../../src/io/random-access.js';
import { readZipDirectory, readZipEntry } from '../../src/io/zip-reader.js';
import { type ZipContent, zipChunks } from '../../src/io/zip-writer.js';

let path: string;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'io-zip-'));
  path = join(folder, 'a.zip');
});
afterAll(() => rmSync(folder, { recursive: true }));

const archive = (contents: ZipContent[]) => Buffer.concat([...zipChunks(contents)]);

/** Names and bytes as the reader finds them. */
function readAll(bytes: Uint8Array): ZipContent[] {
  writeFileSync(path, bytes);
  return withFile(path, (file) =>
    [...readZipDirectory(file).values()].map((entry) => ({
      name: entry.name,
      data: readZipEntry(file, entry),
    })),
  );
}

const contents = fc.uniqueArray(
  fc.record({ name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), data: fc.uint8Array() }),
  { selector: ({ name }) => name, maxLength: 8 },
);

describe('round trip', () => {
  it('gives names and bytes back in order', () => {
    fc.assert(
      fc.property(contents, (list) => {
        expect(readAll(archive(list))).toEqual(list);
      }),
    );
  });

  it('aligns every entry to 64 bytes, so that a mapped file serves as tensors', () => {
    fc.assert(
      fc.property(contents, (list) => {
        writeFileSync(path, archive(list));
        withFile(path, (file) => {
          for (const { offset } of readZipDirectory(file).values()) expect(offset % 64).toBe(0);
        });
      }),
    );
  });

  it('passes data on without copying them', () => {
    const data = new Uint8Array(1000);
    expect([...zipChunks([{ name: 'a', data }])]).toContain(data);
  });

  it('counts more than 65,535 entries (zip64 end record)', () => {
    const data = Uint8Array.of(1);
    const list = Array.from({ length: 66_000 }, (_, i) => ({ name: String(i), data }));
    writeFileSync(path, archive(list));
    expect(withFile(path, readZipDirectory).size).toBe(66_000);
  });

  it('handles entries and offsets beyond 4 GiB (zip64 extra fields)', () => {
    // Never touched: neither memory nor disk (a hole in the file) holds these zeros.
    const large = new Uint8Array(2 ** 32 - 1);
    const list = [
      { name: 'large', data: large },
      { name: 'after', data: Uint8Array.of(1, 2, 3) },
    ];
    const fd = openSync(path, 'w');
    let position = 0;
    for (const chunk of zipChunks(list)) {
      if (chunk !== large) writeSync(fd, chunk, 0, chunk.byteLength, position);
      position += chunk.byteLength;
    }
    closeSync(fd);
    withFile(path, (file) => {
      const entries = readZipDirectory(file);
      expect(entries.get('large')).toMatchObject({ offset: 64, size: 2 ** 32 - 1 });
      const after = entries.get('after')!;
      expect(after.offset).toBeGreaterThan(2 ** 32);
      expect([...file.read(after.offset, after.size, 'after')]).toEqual([1, 2, 3]);
    });
    truncateSync(path);
  });
});

describe('faults', () => {
  const good = archive([
    { name: 'a/data.pkl', data: Uint8Array.of(1, 2, 3) },
    { name: 'a/data/0', data: new Uint8Array(500) },
  ]);

  it('refuses every shortened archive', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: good.length - 1 }), (length) => {
        expect(() => readAll(good.subarray(0, length))).toThrow(/truncated or damaged/);
      }),
    );
  });

  it('reads or refuses, but never hangs or fails otherwise, whatever byte is changed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: good.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const bytes = Buffer.from(good);
          bytes[at]! ^= change;
          try {
            readAll(bytes);
          } catch (error) {
            expect(error).toMatchObject({ name: 'FileFormatError' });
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('refuses compressed entries by name', () => {
    const data = deflateRawSync(Buffer.alloc(100));
    const bytes = archive([{ name: 'a/data.pkl', data }]);
    // Method 8 in the local header and in the directory, and the size before compression.
    const directory = bytes.indexOf(Buffer.from('PK\x01\x02', 'latin1'));
    bytes.writeUInt16LE(8, 8);
    bytes.writeUInt16LE(8, directory + 10);
    bytes.writeUInt32LE(100, directory + 24);
    expect(() => readAll(bytes)).toThrow(/received the compressed entry a\/data\.pkl\..*torch\.save/);
  });
});

describe('crc32', () => {
  it("is the standard's check value, by zlib and by the table", () => {
    // CRC-32/ISO-HDLC: check value of the ASCII digits 1 to 9.
    const digits = Buffer.from('123456789');
    expect(crc32(digits)).toBe(0xcbf43926);
    expect(tableCrc32(digits)).toBe(0xcbf43926);
  });

  it('is the same by both ways', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
        expect(tableCrc32(data)).toBe(crc32(data));
      }),
    );
  });
});
