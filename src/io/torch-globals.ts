/**
 * The names that a checkpoint's pickle may refer to: those of tensors and plain containers which PyTorch's
 * own weights_only reader allows, and two inert additions that older checkpoints carry beside their weights
 * (numpy numbers, argparse's namespace). Everything else is refused.
 */
import { DTYPE_NAMES, type DType, type RawTensor } from '../tensor/dtypes.js';
import { FileFormatError } from './file-error.js';
import { numpyScalarGlobals } from './numpy-objects.js';
import type { RandomAccessFile } from './random-access.js';
import { isDType, readView, STORAGE_CLASSES, StorageClass, StoredBytes } from './torch-storage.js';

/** argparse.Namespace: a training script's options, here as the dict of its attributes. */
class Namespace extends Map<unknown, unknown> {
  __setstate__(state: unknown): void {
    if (state instanceof Map) for (const [key, value] of state) this.set(key, value);
  }
}

/** Items of a dict subclass, given as pairs (Python 2) or as a dict (Counter); usually set afterwards. */
function dict(items: unknown): Map<unknown, unknown> {
  return items instanceof Map ? new Map(items) : new Map((items as [unknown, unknown][] | undefined) ?? []);
}

/** Allow-list for one file, whose tensors are read as they are met. */
export function torchGlobals(file: RandomAccessFile): Map<string, unknown> {
  const damaged = (received: string) =>
    new FileFormatError({
      path: file.path,
      expected: 'tensors as torch.save writes them',
      received,
      remedy: 'The file is damaged or of a newer form: in Python, save only the weights with torch.save.',
    });

  const tensor = (
    storage: unknown,
    dtype: DType | undefined,
    args: unknown[],
    metadata: unknown,
  ): RawTensor => {
    const [offset, shape, strides] = args;
    if (!(storage instanceof StoredBytes) || !dtype) throw damaged('a tensor without a storage');
    if (!Array.isArray(shape) || !Array.isArray(strides)) throw damaged('a tensor without a shape');
    // Set for lazily negated or conjugated views, whose storage holds other values than the tensor.
    if (metadata instanceof Map && [...metadata.values()].includes(true))
      throw damaged('a lazily negated tensor');
    return readView(file, storage, dtype, { offset: offset as number, shape, strides });
  };

  /** (storage, offset, shape, strides, requires_grad, hooks, metadata): the storage's class tells the type. */
  const rebuildV2 = (...args: unknown[]): RawTensor => {
    const storage = args[0];
    return tensor(
      storage,
      storage instanceof StoredBytes ? storage.dtype : undefined,
      args.slice(1, 4),
      args[6],
    );
  };

  /** As above with the dtype as seventh argument, over an untyped storage. */
  const rebuildV3 = (...args: unknown[]): RawTensor => {
    const dtype = String(args[6]).replace(/^torch\./, '');
    return tensor(args[0], isDType(dtype) ? dtype : undefined, args.slice(1, 4), args[7]);
  };

  const first = (value: unknown) => value;
  const asList = (items: unknown) => (Array.isArray(items) ? [...items] : []);
  return new Map<string, unknown>([
    ['torch._utils._rebuild_tensor_v2', rebuildV2],
    ['torch._utils._rebuild_tensor_v3', rebuildV3],
    ['torch._utils._rebuild_parameter', first],
    ['torch._utils._rebuild_parameter_with_state', first],
    ['torch.Size', asList],
    ['torch.device', (...parts: unknown[]) => parts.join(':')],
    ['collections.OrderedDict', dict],
    ['collections.Counter', dict],
    ['builtins.set', asList],
    ['__builtin__.set', asList],
    ['argparse.Namespace', () => new Namespace()],
    ...numpyScalarGlobals(),
    ...DTYPE_NAMES.map((dtype): [string, unknown] => [
      `torch.${STORAGE_CLASSES[dtype]}`,
      new StorageClass(dtype),
    ]),
    ...DTYPE_NAMES.map((dtype): [string, unknown] => [`torch.${dtype}`, `torch.${dtype}`]),
    ['torch.storage.UntypedStorage', new StorageClass(undefined)],
  ]);
}
