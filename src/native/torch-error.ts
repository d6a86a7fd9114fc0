/**
 * Any fault that the addon reports.
 * `code`: ERR_INVALID_ARG | ERR_DISPOSED | ERR_OUT_OF_MEMORY | ERR_DISTRIBUTED | ERR_NOT_DETERMINISTIC | ERR_TORCH | ERR_INTERNAL;
 * `op`: the operation's name; `rank`: the process that speaks, where several train together.
 */
export class TorchError extends Error {
  override readonly name = 'TorchError';
  constructor(
    message: string,
    readonly code: string,
    readonly op: string,
    readonly rank?: number,
  ) {
    super(op && !message.includes(`${op}()`) ? `${op}(): ${message}` : message);
  }
}
