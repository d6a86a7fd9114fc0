/** Faults of files, told for people: which file, what was expected, what came, and what to do. */

/** What `FileFormatError` says. */
export interface FileFault {
  path: string;
  /** What a good file would hold, e.g. `a .npy file`. */
  expected: string;
  /** What this one holds, e.g. `an empty file`. */
  received: string;
  /** One sentence: what mends it. */
  remedy?: string;
}

/** The file is there, but is not what its reader needs: the user's file, so commands exit with 2 on it. */
export class FileFormatError extends Error {
  override readonly name = 'FileFormatError';
  readonly exitCode = 2;
  readonly path: string;

  constructor({ path, expected, received, remedy }: FileFault, options?: ErrorOptions) {
    super(`Expected ${expected} for ${path} but received ${received}.${remedy ? ` ${remedy}` : ''}`, options);
    this.path = path;
  }
}

/** The operating system refused to read or write; `code` is its own (ENOENT, EACCES, ENOSPC, ...). */
export class FileAccessError extends Error {
  override readonly name = 'FileAccessError';
  /** A file to read was named by the user, who can name another; a refused write comes amid the work. */
  readonly exitCode: number;

  constructor(
    message: string,
    readonly path: string,
    readonly code: string,
    options?: ErrorOptions & { exitCode?: number },
  ) {
    super(message, options);
    this.exitCode = options?.exitCode ?? 1;
  }
}

const REMEDIES: Record<string, string> = {
  EACCES: 'permission is denied; change its permissions or choose another path',
  EPERM: 'permission is denied; change its permissions or choose another path',
  EROFS: 'the file system is read-only; choose another path',
  ENOSPC: 'the disk is full; free some space or choose another path',
  EDQUOT: 'the disk quota is used up; free some space or choose another path',
  EISDIR: 'it is a folder, not a file; choose another path',
  ENOTDIR: 'a part of this path is a file, not a folder; check the path',
  ENAMETOOLONG: 'the name is too long for this file system; choose a shorter one',
  EMFILE: 'too many files are open; raise the limit (ulimit -n)',
};

/** Turns an error of node:fs into a readable one; any other error comes back as it is. */
export function fileAccessError(error: unknown, action: 'read' | 'write', path: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (!(error instanceof Error) || typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return error;
  const missing =
    action === 'read'
      ? 'no such file exists; check the path'
      : 'its folder does not exist; create it or choose another path';
  const reason = code === 'ENOENT' ? missing : (REMEDIES[code] ?? error.message);
  const message = `Cannot ${action} ${path}: ${reason} (${code}).`;
  const exitCode = action === 'read' ? 2 : 1;
  return new FileAccessError(message, path, code, { cause: error, exitCode });
}
