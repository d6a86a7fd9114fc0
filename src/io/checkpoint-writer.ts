/** Writes checkpoints that Python's torch.load reads with weights_only=True, also memory-mapped. */
import { DTYPES, numel, type RawTensor } from '../tensor/dtypes.js';
import { writeFileAtomic } from './atomic.js';
import { type CheckpointValue, isRawTensor } from './checkpoint-value.js';
import { pickle } from './pickle-writer.js';
import { PyGlobal, PyPersistent, PyReduce, PyTuple } from './python-values.js';
import { contiguousStrides, STORAGE_CLASSES } from './torch-storage.js';
import { type ZipContent, zipChunks } from './zip-writer.js';

/** The archive's folder, under the name that torch.save gives when it writes to a stream. */
const FOLDER = 'archive';

/**
 * Writes a checkpoint; the file is whole or not there, and tensors' bytes go to the disk without a copy.
 * Tensors that share one `data` array (tied weights) share a storage in the file.
 * @throws TypeError that names the entry which cannot be written, FileAccessError when the file cannot be
 */
export function writeCheckpoint(path: string, value: CheckpointValue): void {
  writeFileAtomic(path, checkpointChunks(value));
}

/** The parts of a checkpoint file, for `writeFileAtomicAsync`. */
export function checkpointChunks(value: CheckpointValue): Iterable<Uint8Array> {
  const storages: RawTensor[] = [];
  const parts = pickle(value, { protocol: 2, describe: (object) => describeTensor(object, storages) });
  const text = (name: string, content: string): ZipContent => ({
    name: `${FOLDER}/${name}`,
    data: Buffer.from(content, 'latin1'),
  });
  return zipChunks([
    { name: `${FOLDER}/data.pkl`, data: Buffer.concat(parts) },
    text('byteorder', 'little'),
    ...storages.map(({ data }, key) => ({ name: `${FOLDER}/data/${key}`, data })),
    text('version', '3\n'),
  ]);
}

/** A tensor as torch pickles it: a function that views a storage, and arguments without gradient or hooks. */
function describeTensor(object: object, storages: RawTensor[]): PyReduce | undefined {
  if (!isRawTensor(object)) return undefined;
  const { dtype, shape, data } = object;
  const bytes = numel(shape) * (DTYPES[dtype]?.bytes ?? Number.NaN);
  if (data.byteLength !== bytes) {
    throw new TypeError(
      `Expected ${bytes} bytes for a ${dtype} tensor of shape [${shape}] but received ${data.byteLength}.`,
    );
  }
  const noHooks = new PyReduce(new PyGlobal('collections', 'OrderedDict'), new PyTuple([]));
  const view = [0, new PyTuple(shape), new PyTuple(contiguousStrides(shape)), false, noHooks];
  return new PyReduce(
    new PyGlobal('torch._utils', '_rebuild_tensor_v2'),
    new PyTuple([storageOf(object, storages), ...view]),
  );
}

/** One storage for each array of bytes; bytes that serve two dtypes are stored twice, as a storage has one. */
function storageOf(tensor: RawTensor, storages: RawTensor[]): PyPersistent {
  const { dtype, shape, data } = tensor;
  let key = storages.findIndex((stored) => stored.data === data && stored.dtype === dtype);
  if (key < 0) key = storages.push(tensor) - 1;
  const storageClass = new PyGlobal('torch', STORAGE_CLASSES[dtype]);
  return new PyPersistent(new PyTuple(['storage', storageClass, String(key), 'cpu', numel(shape)]));
}
