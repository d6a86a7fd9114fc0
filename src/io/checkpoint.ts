/** PyTorch checkpoints (.pth): see checkpoint-reader.ts and checkpoint-writer.ts for the file's form. */
import type { RawTensor } from '../tensor/dtypes.js';
import { readCheckpoint } from './checkpoint-reader.js';
import { type CheckpointValue, isRawTensor } from './checkpoint-value.js';
import { FileFormatError } from './file-error.js';

export { readCheckpoint } from './checkpoint-reader.js';
export { type CheckpointValue, isRawTensor } from './checkpoint-value.js';
export { checkpointChunks, writeCheckpoint } from './checkpoint-writer.js';
export { PyFloat } from './python-values.js';

/** Where training scripts put the weights when they save other things beside them. */
const WEIGHT_KEYS = ['state_dict', 'model', 'model_state_dict'];

/** What DistributedDataParallel and DataParallel put before every name. */
const PARALLEL_PREFIX = 'module.';

/**
 * Reads the weights of a checkpoint that is a state dict or holds one (as `state_dict`, `model` or
 * `model_state_dict`), without the `module.` of parallel training.
 * @throws FileFormatError when there are no weights, or something else is among them; FileAccessError
 */
export function readStateDict(path: string): Map<string, RawTensor> {
  const state = new Map<string, RawTensor>();
  for (const [key, value] of findStateDict(path, readCheckpoint(path))) {
    const name = String(key).startsWith(PARALLEL_PREFIX)
      ? String(key).slice(PARALLEL_PREFIX.length)
      : String(key);
    if (!isRawTensor(value) || state.has(name)) {
      throw new FileFormatError({
        path,
        expected: 'a state dict of one tensor for each name',
        received: isRawTensor(value) ? `two tensors named ${name}` : `${kindOf(value)} as ${name}`,
        remedy: 'In Python, save only the weights: torch.save(model.state_dict(), path).',
      });
    }
    state.set(name, value);
  }
  return state;
}

function findStateDict(path: string, checkpoint: CheckpointValue): Map<string | number, CheckpointValue> {
  if (checkpoint instanceof Map) {
    for (const key of WEIGHT_KEYS) {
      const nested = checkpoint.get(key);
      if (nested instanceof Map) return nested;
    }
    if ([...checkpoint.values()].some(isRawTensor)) return checkpoint;
  }
  const keys = checkpoint instanceof Map ? [...checkpoint.keys()].slice(0, 10).join(', ') : '';
  throw new FileFormatError({
    path,
    expected: `a state dict, or a dict that holds one as ${WEIGHT_KEYS.join(' or ')}`,
    received: checkpoint instanceof Map ? `a dict of ${keys || 'nothing'}` : kindOf(checkpoint),
    remedy: 'In Python, save only the weights: torch.save(model.state_dict(), path).',
  });
}

function kindOf(value: CheckpointValue): string {
  if (value === null) return 'None';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Map) return 'a dict';
  return isRawTensor(value) ? 'a tensor' : `a ${typeof value}`;
}
