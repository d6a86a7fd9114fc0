import { UsageError } from './errors.js';

/** Where a value came from: a file (with a line where known) or a flag. */
export interface Origin {
  label: string;
  line?: number;
}

export interface Problem {
  origin: Origin;
  /** A sentence without its full stop, and what to do about it as a second one. */
  text: string;
}

export const originText = ({ label, line }: Origin): string =>
  line === undefined ? label : `${label}:${line}`;

/** One error that names every problem: files by line first, then flags in their order. */
export function problemsError(problems: readonly Problem[]): UsageError {
  const lines = sorted(problems).map(
    ({ origin, text }) => `${originText(origin)}: ${text}${text.endsWith('?') ? '' : '.'}`,
  );
  const head = `The configuration has ${lines.length} faults:`;
  return new UsageError(lines.length === 1 ? lines[0]! : [head, ...lines].join('\n  '));
}

function sorted(problems: readonly Problem[]): Problem[] {
  const inFile = (p: Problem): number => (p.origin.label.startsWith('--') ? 1 : 0);
  return problems.toSorted((a, b) => inFile(a) - inFile(b) || (a.origin.line ?? 0) - (b.origin.line ?? 0));
}
