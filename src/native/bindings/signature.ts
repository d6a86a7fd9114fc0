/** A function of the addon: how many arguments it takes, and its type. */
export interface Signature<F> {
  readonly count: number;
  /** Never there: for the compiler alone. */
  readonly type?: F;
}

/** Declares one. @param count of its arguments, optional ones too; the compiler checks that they are as many */
export const takes = <F extends (...args: never[]) => unknown>(
  count: Required<Parameters<F>>['length'],
): Signature<F> => ({ count });

/** Declarations as what they declare. */
export type Functions<Declared> = {
  [Name in keyof Declared]: Declared[Name] extends Signature<infer F> ? F : never;
};
