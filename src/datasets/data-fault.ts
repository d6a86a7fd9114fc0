import { UsageError } from '../config/errors.js';
import { FileFormatError } from '../io/file-error.js';

const ABSENT: readonly string[] = ['ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR'];

/** A fault of a file that is to be read is a fault of the user's data; other errors (of memory, of a disk) are not. */
export function asDataFault(error: unknown): unknown {
  const isData = error instanceof FileFormatError || ABSENT.includes((error as { code?: string }).code ?? '');
  return isData ? new UsageError((error as Error).message, { cause: error }) : error;
}
