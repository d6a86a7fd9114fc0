import type { RawTensor } from '../tensor/dtypes.js';
import { readStateDict } from './checkpoint.js';
import { readSafetensors } from './safetensors.js';

/**
 * Reads weights of either form by the file's name: safetensors, or a PyTorch checkpoint (.pth, .pt, .bin).
 * @throws FileFormatError, FileAccessError
 */
export function readWeightFile(path: string): Map<string, RawTensor> {
  return path.endsWith('.safetensors') ? readSafetensors(path) : readStateDict(path);
}
