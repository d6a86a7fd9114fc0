import fc from 'fast-check';
import { DTYPE_NAMES, DTYPES, numel, type RawTensor } from '../../src/tensor/dtypes.js';

/** Tensors of every dtype and small shapes, also empty and without dimensions. */
export const tensors: fc.Arbitrary<RawTensor> = fc
  .record({
    dtype: fc.constantFrom(...DTYPE_NAMES),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
    seed: fc.uint8Array({ minLength: 1, maxLength: 64 }),
  })
  .map(({ dtype, shape, seed }) => ({
    dtype,
    shape,
    data: Uint8Array.from({ length: numel(shape) * DTYPES[dtype].bytes }, (_, i) => {
      const byte = seed[i % seed.length]!;
      return dtype === 'bool' ? byte & 1 : byte;
    }),
  }));
