import { withFile } from './random-access.js';

/** Gives `use` a whole file's bytes, which are its own only until it returns. */
export type ByteSource = <T>(path: string, use: (bytes: Uint8Array) => T) => T;

const readWhole: ByteSource = (path, use) =>
  use(withFile(path, (file) => file.read(0, file.size, 'its bytes')));

let source: ByteSource = readWhole;

/** Whole files of this thread come from `next` from now on; absent: they are read into memory again. */
export function useByteSource(next: ByteSource = readWhole): void {
  source = next;
}

/** @throws FileAccessError when the file cannot be opened or read */
export const withFileBytes: ByteSource = (path, use) => source(path, use);
