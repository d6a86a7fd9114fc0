import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeFileAtomic, writeFileAtomicAsync } from '../../src/io/atomic.js';
import { FileAccessError, fileAccessError } from '../../src/io/file-error.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'io-atomic-'));
});
afterEach(() => {
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true });
});

const bytes = (...values: number[]) => Uint8Array.from(values);
const diskFull = () => Object.assign(new Error('no space left on device, write'), { code: 'ENOSPC' });

/** Both forms must keep the same promises. */
const forms = [
  ['writeFileAtomic', async (path: string, content: Iterable<Uint8Array>) => writeFileAtomic(path, content)],
  ['writeFileAtomicAsync', writeFileAtomicAsync],
] as const;

describe.each(forms)('%s', (_, write) => {
  it('writes chunks in order and leaves nothing else in the folder', async () => {
    const path = join(folder, 'a.bin');
    await write(path, [bytes(1, 2), bytes(), bytes(3)]);
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
    expect(readdirSync(folder)).toEqual(['a.bin']);
  });

  it('keeps the old file and removes the temporary one when the content fails half-way', async () => {
    const path = join(folder, 'best.pth');
    writeFileSync(path, 'old');
    const failing = (function* () {
      yield bytes(1, 2, 3);
      throw diskFull();
    })();
    await expect(write(path, failing)).rejects.toThrow(
      `Cannot write ${path}: the disk is full; free some space or choose another path (ENOSPC).`,
    );
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['best.pth']);
  });

  it('shows the old content, whole, to a reader that looks while it is written', async () => {
    const path = join(folder, 'last.pth');
    writeFileSync(path, 'old');
    const seen: string[] = [];
    const watched = (function* () {
      yield bytes(120);
      seen.push(readFileSync(path, 'utf8'));
      yield bytes(121);
    })();
    await write(path, watched);
    expect(seen).toEqual(['old']);
    expect(readFileSync(path, 'utf8')).toBe('xy');
  });

  it('says that the folder is missing', async () => {
    const path = join(folder, 'none', 'a.npy');
    await expect(write(path, [bytes(1)])).rejects.toThrow(
      `Cannot write ${path}: its folder does not exist; create it or choose another path (ENOENT).`,
    );
  });

  it('says that a part of the path is a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(write(join(folder, 'file', 'a.npy'), [bytes(1)])).rejects.toThrow(/is a file, not a folder/);
  });

  it('refuses to replace a folder, before any content is made', async () => {
    const path = join(folder, 'sub');
    mkdirSync(path);
    let asked = false;
    const content = (function* () {
      asked = true;
      yield bytes(1);
    })();
    await expect(write(path, content)).rejects.toThrow(/it is a folder, not a file/);
    expect(asked).toBe(false);
    expect(readdirSync(folder)).toEqual(['sub']);
  });

  it.skipIf(process.platform === 'win32')('says that the folder is not writable', async () => {
    chmodSync(folder, 0o555);
    // Root may write anywhere: give that up for the moment of the call.
    const isRoot = process.getuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    try {
      await expect(write(join(folder, 'a.npy'), [bytes(1)])).rejects.toThrow(
        /permission is denied; change its permissions or choose another path \(EACCES\)/,
      );
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it('writes names as long as a file system allows', async () => {
    const name = `${'é'.repeat(120)}.npy`;
    await write(join(folder, name), [bytes(7)]);
    expect([...readFileSync(join(folder, name))]).toEqual([7]);
  });
});

describe('content forms', () => {
  it('takes bytes, text and asynchronous chunks', async () => {
    writeFileAtomic(join(folder, 'b'), bytes(1, 2));
    writeFileAtomic(join(folder, 't'), 'héllo');
    await writeFileAtomicAsync(
      join(folder, 's'),
      (async function* () {
        yield bytes(3);
        yield bytes(4);
      })(),
    );
    expect([...readFileSync(join(folder, 'b'))]).toEqual([1, 2]);
    expect(readFileSync(join(folder, 't'), 'utf8')).toBe('héllo');
    expect([...readFileSync(join(folder, 's'))]).toEqual([3, 4]);
  });
});

describe('fileAccessError', () => {
  it('keeps code, path and cause', () => {
    const cause = diskFull();
    const error = fileAccessError(cause, 'write', 'x.pth') as FileAccessError;
    expect(error).toBeInstanceOf(FileAccessError);
    expect(error).toMatchObject({ code: 'ENOSPC', path: 'x.pth', cause });
  });

  it("leaves other errors alone, also those with Node's own codes", () => {
    const plain = new Error('a bug');
    const invalid = Object.assign(new TypeError('bad argument'), { code: 'ERR_INVALID_ARG_TYPE' });
    expect(fileAccessError(plain, 'read', 'x')).toBe(plain);
    expect(fileAccessError(invalid, 'read', 'x')).toBe(invalid);
    expect(fileAccessError(null, 'read', 'x')).toBe(null);
  });
});
