import { UsageError } from '../config/errors.js';
import { native } from '../native/index.js';
import { type ByteSource, useByteSource } from './file-bytes.js';
import { withFile } from './random-access.js';

/**
 * Memory-maps a file while its bytes are in use: they come from the system's page cache, which all processes share, without
 * a copy in this one. The file must not become shorter meanwhile: the system ends a process that reads pages which are gone.
 */
export const mappedFile: ByteSource = (path, use) => {
  // Opening it the usual way first words every fault of a path as for files that are read.
  withFile(path, () => {});
  const buffer = native.mapFile!(path);
  try {
    return use(new Uint8Array(buffer));
  } finally {
    native.unmapFile!(buffer);
  }
};

/**
 * Whole files of this thread are mapped from now on.
 * @throws UsageError on Windows
 */
export function mapFiles(): void {
  if (!native.mapFile)
    throw new UsageError('dataset.mmap cannot be used on Windows: set it to false, files are then read.');
  useByteSource(mappedFile);
}
