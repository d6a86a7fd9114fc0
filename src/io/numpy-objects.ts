/** Inert stand-ins for the numpy objects that pickles hold: they collect what is told and run nothing. */
import { decodeArray, type NpyArray } from './npy.js';
import { type ElementType, elementType } from './npy-header.js';

/** Versions before 2.0 name the package `numpy.core`, later ones `numpy._core`. */
const CORES = ['numpy.core', 'numpy._core'];

/** numpy.dtype: kind and size by its constructor ('f4'), byte order by its state. */
export class NumpyDType {
  private order = '|';
  constructor(private readonly kind: string) {}

  __setstate__(state: unknown): void {
    this.order = String((state as unknown[])[1]);
  }

  get descr(): string {
    return `${this.order}${this.kind}`;
  }

  get element(): ElementType {
    const type = elementType(this.descr);
    if (!type) throw new TypeError(`dtype ${this.descr} is not numeric`);
    return type;
  }
}

/** numpy.ndarray: of numbers (`toArray`), or of Python objects (`items`, as object arrays hold them). */
export class NumpyArray {
  private shape: number[] = [];
  private fortranOrder = false;
  private dtype = new NumpyDType('?');
  private content: unknown;

  /** State: version, shape, dtype, Fortran order, bytes (or a list, for object arrays). */
  __setstate__(state: unknown): void {
    const [, shape, dtype, fortranOrder, content] = state as unknown[];
    if (!Array.isArray(shape) || !(dtype instanceof NumpyDType)) throw new TypeError('a damaged array state');
    this.shape = shape;
    this.dtype = dtype;
    this.fortranOrder = fortranOrder === true;
    this.content = content;
  }

  get items(): unknown[] {
    if (!Array.isArray(this.content)) throw new TypeError('no object array');
    return this.content;
  }

  toArray(): NpyArray {
    const { element } = this.dtype;
    const bytes = this.shape.reduce((product, size) => product * size, element.bytes);
    if (!(this.content instanceof Uint8Array) || this.content.byteLength !== bytes) {
      throw new TypeError(`array data that do not fill shape [${this.shape}] of ${this.dtype.descr}`);
    }
    return decodeArray(this.content, element, this.shape, this.fortranOrder);
  }
}

/** A numpy scalar as a plain value: whole numbers within 2^53 and floats as number, bool as boolean. */
function scalar(dtype: unknown, bytes: unknown): number | bigint | boolean {
  if (!(dtype instanceof NumpyDType) || !(bytes instanceof Uint8Array))
    throw new TypeError('a damaged scalar');
  const { element } = dtype;
  if (bytes.byteLength !== element.bytes) throw new TypeError('a damaged scalar');
  const value = decodeArray(bytes, element, [], false).data[0]!;
  if (element.dtype === 'bool') return value !== 0;
  const number = Number(value);
  return typeof value === 'bigint' && !Number.isSafeInteger(number) ? value : number;
}

/** Arrays of pickle protocol 5 come with their parts as arguments. */
function fromBuffer(bytes: unknown, dtype: unknown, shape: unknown, order: unknown): NumpyArray {
  const array = new NumpyArray();
  array.__setstate__([1, shape, dtype, order === 'F', bytes]);
  return array;
}

/** bytes as protocol 2 writes them: a string of code points below 256. */
function encode(text: unknown, encoding: unknown): Uint8Array {
  if (typeof text !== 'string' || !/^latin-?1$/.test(String(encoding)))
    throw new TypeError(`bytes in ${encoding}`);
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

const inAllCores = (name: string, hook: unknown): [string, unknown][] =>
  CORES.map((core) => [`${core}.${name}`, hook]);

/** Allow-list of what a pickled number needs. Made anew for every file, so no file can touch another's. */
export const numpyScalarGlobals = (): [string, unknown][] => [
  ...inAllCores('multiarray.scalar', (dtype: unknown, bytes: unknown) => scalar(dtype, bytes)),
  ['numpy.dtype', (kind: unknown) => new NumpyDType(String(kind))],
  ['_codecs.encode', (text: unknown, encoding: unknown) => encode(text, encoding)],
];

/** Allow-list of what a pickled array needs besides. */
export const numpyArrayGlobals = (): [string, unknown][] => [
  ...numpyScalarGlobals(),
  // Their arguments (class, shape (0,), 'b') only say that the state follows.
  ...inAllCores('multiarray._reconstruct', () => new NumpyArray()),
  ...inAllCores('numeric._frombuffer', (...args: [unknown, unknown, unknown, unknown]) =>
    fromBuffer(...args),
  ),
  ['numpy.ndarray', 'numpy.ndarray'],
];
