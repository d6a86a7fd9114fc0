/** What a class is called where a dataset may not say. @param index of the foreground classes, from 0 */
export const className = (known: readonly string[] | undefined, index: number): string =>
  known?.[index] ?? `class ${index + 1}`;

/** What classes are called, background first. */
export function classNames({
  numClasses,
  classNames: known,
}: {
  numClasses: number;
  classNames?: readonly string[];
}): string[] {
  return ['background', ...Array.from({ length: numClasses - 1 }, (_, c) => className(known, c))];
}
