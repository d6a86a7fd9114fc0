/**
 * safetensors: 8 bytes of header length, a JSON header of name -> {dtype, shape, data_offsets}, then the
 * tensors' bytes, little-endian. Checked as the format demands: no gaps, no overlaps, nothing left over.
 */
import { DTYPE_NAMES, DTYPES, type DType, numel, type RawTensor } from '../tensor/dtypes.js';
import { writeFileAtomic } from './atomic.js';
import { FileFormatError } from './file-error.js';
import { type RandomAccessFile, withFile } from './random-access.js';

/** The format's names in the order in which writers lay tensors out: wide elements first, so all are aligned. */
const FORMAT_NAMES: Record<DType, string> = {
  int64: 'I64',
  float64: 'F64',
  int32: 'I32',
  float32: 'F32',
  int16: 'I16',
  float16: 'F16',
  bfloat16: 'BF16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
};
const DTYPE_OF = new Map(DTYPE_NAMES.map((dtype) => [FORMAT_NAMES[dtype], dtype]));

/** The reference implementation's own limit; a larger length means that this is another kind of file. */
const MAX_HEADER_BYTES = 100_000_000;
const METADATA = '__metadata__';

interface Entry {
  name: string;
  dtype: DType;
  shape: number[];
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  entries: Entry[];
  metadata: Record<string, string>;
  /** Byte of the file at which offset 0 lies. */
  dataOffset: number;
}

function fault(path: string, received: string, cause?: unknown): FileFormatError {
  const remedy = 'The file is truncated, damaged or of another kind: download or create it again.';
  return new FileFormatError({ path, expected: 'a safetensors file', received, remedy }, { cause });
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parseEntry(path: string, name: string, value: unknown): Entry {
  const { dtype: code, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  const dtype = DTYPE_OF.get(String(code));
  if (!dtype) {
    throw new FileFormatError({
      path,
      expected: `one of ${[...DTYPE_OF.keys()].join(', ')} as dtype of tensor ${JSON.stringify(name)}`,
      received: String(code),
      remedy: 'Convert this tensor in Python and save the file again.',
    });
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw fault(path, `shape ${JSON.stringify(shape)} for tensor ${JSON.stringify(name)}`);
  }
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? offsets : [];
  if (!isCount(begin) || !isCount(end) || end - begin !== numel(shape) * DTYPES[dtype].bytes) {
    throw fault(
      path,
      `data_offsets ${JSON.stringify(offsets)} for tensor ${JSON.stringify(name)}, ${code} of shape [${shape}]`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function parseHeader(file: RandomAccessFile): SafetensorsHeader {
  const { path } = file;
  if (file.size < 8) throw fault(path, `a file of ${file.size} bytes`);
  const length = Number(Buffer.from(file.read(0, 8, 'the header length')).readBigUInt64LE());
  if (length > Math.min(MAX_HEADER_BYTES, file.size - 8)) {
    throw fault(path, `a header length of ${length} in a file of ${file.size} bytes`);
  }
  const text = Buffer.from(file.read(8, length, 'the header')).toString('utf8');
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw fault(path, 'a header that is not JSON', cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw fault(path, 'a header that is no JSON object');
  }
  const { [METADATA]: metadata = {}, ...tensors } = header as Record<string, unknown>;
  const entries = Object.entries(tensors).map(([name, value]) => parseEntry(path, name, value));
  const dataOffset = 8 + length;
  checkLayout(path, entries, file.size - dataOffset);
  return { entries, metadata: metadata as Record<string, string>, dataOffset };
}

/** Tensors must lie end to end over all bytes: otherwise something is hidden, shared or missing. */
function checkLayout(path: string, entries: readonly Entry[], bytes: number): void {
  let position = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position)
      throw fault(path, `tensor ${JSON.stringify(name)} at offset ${begin} where ${position} is due`);
    position = end;
  }
  if (position !== bytes) throw fault(path, `${bytes} bytes of data where the header tells of ${position}`);
}

/** Reads names, dtypes, shapes and metadata only. @throws FileFormatError, FileAccessError */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  return withFile(path, parseHeader);
}

/**
 * Reads all tensors, in the header's order, each into bytes of its own.
 * @throws FileFormatError when the file is not valid, FileAccessError when it cannot be read
 */
export function readSafetensors(path: string): Map<string, RawTensor> {
  return withFile(path, (file) => {
    const { entries, dataOffset } = parseHeader(file);
    return new Map(
      entries.map(({ name, dtype, shape, begin, end }) => [
        name,
        { dtype, shape, data: file.read(dataOffset + begin, end - begin, `tensor ${name}`) },
      ]),
    );
  });
}

/**
 * Writes tensors and string metadata; the file is whole or not there.
 * @throws RangeError when a tensor's bytes do not fit its shape
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, RawTensor>,
  metadata?: Record<string, string>,
): void {
  const widths = (dtype: DType) => DTYPES[dtype].bytes;
  const sorted = [...tensors].toSorted(([, a], [, b]) => widths(b.dtype) - widths(a.dtype));
  let position = 0;
  const header = sorted.map(([name, { dtype, shape, data }]) => {
    const bytes = numel(shape) * widths(dtype);
    if (name === METADATA)
      throw new RangeError(`Expected a tensor name but received the reserved ${METADATA}.`);
    if (data.byteLength !== bytes) {
      throw new RangeError(
        `Expected ${bytes} bytes for ${name} (${dtype}, shape [${shape}]) but received ${data.byteLength}.`,
      );
    }
    const begin = position;
    position += bytes;
    return [name, { dtype: FORMAT_NAMES[dtype], shape, data_offsets: [begin, position] }] as const;
  });
  const json = JSON.stringify(
    Object.fromEntries([...(metadata ? [[METADATA, metadata] as const] : []), ...header]),
  );
  const length = Math.ceil(Buffer.byteLength(json) / 8) * 8;
  const start = Buffer.alloc(8 + length, ' ');
  start.writeBigUInt64LE(BigInt(length));
  start.write(json, 8);
  writeFileAtomic(path, [start, ...sorted.map(([, { data }]) => data)]);
}
