/**
 * Python dicts in .npy files: `numpy.save(path, {...})` makes an object array without dimensions whose one
 * element is the pickled dict. VOC and COCO label files and exported attention maps have this form.
 */
import { Parser } from 'pickleparser';
import { type WriteOptions, writeFileAtomic, writeFileAtomicAsync } from './atomic.js';
import { FileFormatError } from './file-error.js';
import { descrOf, elementBytes, type NpyArray } from './npy.js';
import { formatNpyHeader, NPY_DTYPES, parseNpyHeader } from './npy-header.js';
import { NumpyArray, numpyArrayGlobals } from './numpy-objects.js';
import { pickle } from './pickle-writer.js';
import { type PyFloat, PyGlobal, PyList, PyReduce, PyTuple } from './python-values.js';
import { withFile } from './random-access.js';

export { PyFloat } from './python-values.js';

/** What such a dict holds. Whole numbers are written as int; `new PyFloat(1)` writes a float. */
export type NpyDictValue = NpyArray | number | string | boolean;

/**
 * The pickle library reads large integers as unsigned and rounded: below this bound all are exact, since
 * negative ones of up to 32 bits have another opcode and five bytes with a sign begin here.
 */
const EXACT_BELOW = 2 ** 39;

/**
 * Reads a pickled dict of arrays, numbers and strings; whole-numbered keys become strings.
 * Nothing in the file is run: names other than numpy's array and scalar constructors are refused.
 * @throws FileFormatError for any other content, FileAccessError when the file cannot be read
 */
export function readNpyDict(path: string): Map<string, NpyDictValue> {
  const bytes = withFile(path, (file) => file.read(0, file.size, 'its bytes'));
  const { descr, dataOffset } = parseNpyHeader(bytes, path);
  const fail = (received: string, cause?: unknown) =>
    new FileFormatError(
      {
        path,
        expected: 'a .npy file of one dict of arrays, numbers and strings',
        received,
        remedy: 'Save it in Python with numpy.save(path, {name: array, ...}).',
      },
      { cause },
    );
  if (descr !== '|O') throw fail(`a plain array (dtype ${descr})`);
  let dict: unknown;
  try {
    const array = parsePickle(bytes.subarray(dataOffset), fail);
    dict = array instanceof NumpyArray && array.items.length === 1 ? array.items[0] : array;
  } catch (error) {
    throw error instanceof FileFormatError
      ? error
      : fail(`a damaged one: ${(error as Error).message}`, error);
  }
  if (!(dict instanceof Map)) throw fail('an object that is no dict');
  const result = new Map<string, NpyDictValue>();
  for (const [key, value] of dict) {
    if (typeof key !== 'string' && typeof key !== 'number') throw fail('a key that is no string');
    try {
      result.set(String(key), plainValue(value));
    } catch (error) {
      throw fail(`for key ${JSON.stringify(key)} ${(error as Error).message}`, error);
    }
  }
  return result;
}

function parsePickle(bytes: Uint8Array, fail: (received: string) => FileFormatError): unknown {
  const globals = new Map(numpyArrayGlobals());
  const parser = new Parser({
    unpicklingTypeOfDictionary: 'Map',
    nameResolver: {
      resolve(module, name) {
        const hook = globals.get(`${module}.${name}`);
        if (hook === undefined)
          throw fail(`a reference to ${module}.${name}, which is refused and was not run`);
        return hook as () => unknown;
      },
    },
  });
  return parser.parse(bytes);
}

function plainValue(value: unknown): NpyDictValue {
  if (value instanceof NumpyArray) return value.toArray();
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value !== 'number')
    throw new TypeError(value === null ? 'None' : `a value of type ${typeof value}`);
  if (Number.isInteger(value) && Math.abs(value) >= EXACT_BELOW)
    throw new TypeError(`${value}, too large to be read exactly`);
  return value;
}

/** The parts of a .npy file of one dict, for `writeFileAtomic` or `writeFileAtomicAsync`. */
export function encodeNpyDict(
  dict: Readonly<Record<string, NpyDictValue | PyFloat>> | ReadonlyMap<string, NpyDictValue | PyFloat>,
): Uint8Array[] {
  const entries = dict instanceof Map ? dict : new Map(Object.entries(dict));
  const array = arrayDescription([], 'O8', '|', new PyList([entries]));
  return [formatNpyHeader('|O', []), ...pickle(array, { protocol: 4, describe })];
}

/**
 * Writes what `numpy.load(path, allow_pickle=True).item()` reads back as a dict, in numpy 1 and 2.
 * @throws TypeError for values of other kinds, FileAccessError when the file cannot be written
 */
export function writeNpyDict(path: string, dict: Parameters<typeof encodeNpyDict>[0]): void {
  writeFileAtomic(path, encodeNpyDict(dict));
}

/** As `writeNpyDict`, without blocking the event loop while it writes: for exports beside other work. */
export async function writeNpyDictAsync(
  path: string,
  dict: Parameters<typeof encodeNpyDict>[0],
  options?: WriteOptions,
): Promise<void> {
  await writeFileAtomicAsync(path, encodeNpyDict(dict), options);
}

function describe(value: object): PyReduce | undefined {
  const { dtype, shape } = value as Partial<NpyArray>;
  if (!dtype || !(dtype in NPY_DTYPES) || !Array.isArray(shape)) return undefined;
  const [order, kind] = [descrOf(dtype)[0]!, descrOf(dtype).slice(1)];
  return arrayDescription(shape, kind, order, elementBytes(value as NpyArray));
}

/** An array as ndarray.__reduce__ gives it; numpy 2 still resolves this name of numpy 1, without a warning. */
function arrayDescription(
  shape: readonly number[],
  kind: string,
  order: string,
  content: Uint8Array | PyList,
): PyReduce {
  // State of a dtype: version, byte order, then subarray, names and fields (none), then size, alignment
  // and flags: -1 where the kind tells; objects have the flags of reference-counted elements.
  const flags = kind === 'O8' ? 63 : 0;
  const dtype = new PyReduce(
    new PyGlobal('numpy', 'dtype'),
    new PyTuple([kind, false, true]),
    new PyTuple([3, order, null, null, null, -1, -1, flags]),
  );
  return new PyReduce(
    new PyGlobal('numpy.core.multiarray', '_reconstruct'),
    new PyTuple([new PyGlobal('numpy', 'ndarray'), new PyTuple([0]), Uint8Array.of(0x62)]),
    new PyTuple([1, new PyTuple(shape), dtype, false, content]),
  );
}
