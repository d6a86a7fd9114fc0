/**
 * A fault of usage, configuration or data that is known before the work starts.
 * Commands exit with 2 on it; everything else exits with 1.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly exitCode = 2;
}

const LONGEST_SHOWN = 60;

/** Says what a value is, for people: "number 3", "string 'abc'", "an array of 2 ([5, 3])", "nothing". */
export function describeValue(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') return `string '${shorten(value)}'`;
  if (Array.isArray(value)) return `an array of ${value.length}${contents(value)}`;
  if (ArrayBuffer.isView(value)) return describeView(value);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object') return describeObject(value);
  return `${typeof value} ${String(value)}`;
}

/** The one form of message: "Expected X for Y but received Z". `what` comes with its article. */
export function expected(what: string, where: string, received: unknown): string {
  return `Expected ${what} for ${where} but received ${describeValue(received)}`;
}

function shorten(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 3)}...` : text;
}

// Only short lists of plain values are worth showing; the length always is. Nothing else may be made a text:
// `{toString: null}`, which YAML can hold, throws there.
function contents(values: readonly unknown[]): string {
  const plain = values.length > 0 && values.every((v) => ['number', 'string', 'boolean'].includes(typeof v));
  if (!plain) return '';
  const text = values.map((v) => (typeof v === 'string' ? `'${v}'` : String(v))).join(', ');
  return text.length <= LONGEST_SHOWN ? ` ([${text}])` : '';
}

function describeView(view: ArrayBufferView): string {
  const length = (view as ArrayBufferView & { length?: number }).length;
  return `${view.constructor.name} of ${length ?? `${view.byteLength} bytes`}`;
}

function describeObject(value: object): string {
  if (value instanceof Error) return `an error (${shorten(value.message)})`;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) {
    const name = prototype.constructor?.name ?? 'object';
    return `${/^[AEIOU]/i.test(name) ? 'an' : 'a'} ${name}`;
  }
  const keys = Object.keys(value);
  return keys.length === 0 ? 'an empty object' : `an object with ${shorten(keys.join(', '))}`;
}
