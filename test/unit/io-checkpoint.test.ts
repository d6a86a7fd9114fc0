import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CheckpointValue,
  PyFloat,
  readCheckpoint,
  readStateDict,
  writeCheckpoint,
} from '../../src/io/checkpoint.js';
import { pickle } from '../../src/io/pickle-writer.js';
import { PyGlobal, PyPersistent, PyReduce, PyTuple } from '../../src/io/python-values.js';
import { writeSafetensors } from '../../src/io/safetensors.js';
import { readWeightFile } from '../../src/io/weight-file.js';
import { zipChunks } from '../../src/io/zip-writer.js';
import { type RawTensor, typedView } from '../../src/tensor/dtypes.js';
import { tensors } from './io-arbitraries.js';

let path: string;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'io-checkpoint-'));
  path = join(folder, 'a.pth');
});
afterAll(() => rmSync(folder, { recursive: true }));

const floats = (...values: number[]): RawTensor => ({
  dtype: 'float32',
  shape: [values.length],
  data: new Uint8Array(Float32Array.from(values).buffer),
});

/** A checkpoint whose pickle and entries are made by hand. */
function archive(value: unknown, entries: Record<string, string | Uint8Array> = {}): void {
  const data = Buffer.concat(pickle(value, { protocol: 2, describe: () => undefined }));
  const contents = Object.entries({ 'data.pkl': data, ...entries }).map(([name, content]) => ({
    name: `hand/${name}`,
    data: Buffer.from(content),
  }));
  writeFileSync(path, Buffer.concat([...zipChunks(contents)]));
}

const call = (module: string, name: string, ...args: unknown[]) =>
  new PyReduce(new PyGlobal(module, name), new PyTuple(args));
const storage = (type: string, count: number, key = '0') =>
  new PyPersistent(new PyTuple(['storage', new PyGlobal('torch', type), key, 'cpu', count]));

/** A float32 tensor as a view of storage 0. */
const view = (offset: number, shape: number[], strides: number[], count = 12) =>
  call(
    'torch._utils',
    '_rebuild_tensor_v2',
    storage('FloatStorage', count),
    offset,
    new PyTuple(shape),
    new PyTuple(strides),
    false,
    null,
  );
const twelve = new Uint8Array(Float32Array.from({ length: 12 }, (_, i) => i).buffer);

describe('round trip', () => {
  const leaves: fc.Arbitrary<CheckpointValue> = fc.oneof(
    tensors,
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }),
    fc.string({ unit: 'grapheme' }),
  );
  const nested: fc.Arbitrary<CheckpointValue> = fc.oneof(
    leaves,
    fc.array(leaves, { maxLength: 4 }),
    fc.dictionary(fc.string(), leaves, { maxKeys: 4 }).map((dict) => new Map(Object.entries(dict))),
  );

  it('gives nested values and tensors of every dtype back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), nested, { maxKeys: 6 }), (dict) => {
        const value: CheckpointValue = new Map(Object.entries(dict));
        writeCheckpoint(path, value);
        expect(readCheckpoint(path)).toEqual(value);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps order, number keys and floats that are whole', () => {
    const value: CheckpointValue = new Map<string | number, CheckpointValue>([
      ['z', 1],
      [3, new PyFloat(2)],
      ['a', [null, true, 2n ** 70n]],
    ]);
    writeCheckpoint(path, value);
    expect([...(readCheckpoint(path) as Map<unknown, unknown>)]).toEqual([
      ['z', 1],
      [3, 2],
      ['a', [null, true, 2n ** 70n]],
    ]);
  });

  it('stores tied weights once, and bytes of two dtypes twice', () => {
    const data = new Uint8Array(4096);
    const tied: RawTensor = { dtype: 'float32', shape: [1024], data };
    writeCheckpoint(path, new Map([['one', tied]]));
    const single = readFileSync(path).length;
    writeCheckpoint(
      path,
      new Map([
        ['one', tied],
        ['two', { ...tied, shape: [32, 32] }],
      ]),
    );
    expect(readFileSync(path).length).toBeLessThan(single + 1024);
    writeCheckpoint(
      path,
      new Map([
        ['one', tied],
        ['two', { ...tied, dtype: 'int32' as const }],
      ]),
    );
    expect(readFileSync(path).length).toBeGreaterThan(single + 4096);
    expect(readStateDict(path).get('two')).toEqual({ ...tied, dtype: 'int32' });
  });

  it('writes equal values as equal bytes', () => {
    const state = new Map([['w', floats(1, 2)]]);
    const other = join(folder, 'b.pth');
    writeCheckpoint(path, state);
    writeCheckpoint(other, state);
    expect(readFileSync(other)).toEqual(readFileSync(path));
  });

  it('gives tensors whose bytes are their own, aligned for a typed array', () => {
    writeCheckpoint(path, new Map([['w', floats(1, 2)]]));
    const { data } = readStateDict(path).get('w')!;
    expect(data.byteOffset).toBe(0);
    expect(data.buffer.byteLength).toBe(8);
  });

  it('names the entry that cannot be written, and leaves the old file', () => {
    writeCheckpoint(path, 'old');
    const bad: RawTensor = { dtype: 'float32', shape: [3], data: new Uint8Array(8) };
    expect(() => writeCheckpoint(path, new Map([['model', new Map([['w', bad]])]]))).toThrow(
      'Cannot write entry model.w: Expected 12 bytes for a float32 tensor of shape [3] but received 8.',
    );
    expect(readCheckpoint(path)).toBe('old');
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('tensors as views', () => {
  const read = (tensor: PyReduce) => {
    archive(tensor, { 'data/0': twelve });
    const value = readCheckpoint(path) as RawTensor;
    return { shape: value.shape, values: [...typedView(value)] };
  };

  it.each([
    ['a transposed view', view(0, [4, 3], [1, 4]), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]],
    ['a slice of a storage', view(4, [4], [1]), [4, 5, 6, 7]],
    ['every other column', view(1, [3, 2], [4, 2]), [1, 3, 5, 7, 9, 11]],
    ['an expanded row', view(2, [3, 2], [0, 1]), [2, 3, 2, 3, 2, 3]],
    ['a dimension of size 1 with any stride', view(0, [1, 3], [99, 1]), [0, 1, 2]],
    ['a scalar', view(5, [], []), [5]],
    ['an empty tensor at the end', view(12, [0, 4], [4, 1]), []],
  ])('makes %s contiguous', (_, tensor, expected) => {
    expect(read(tensor).values).toEqual(expected);
  });

  it('gathers elements of every width', () => {
    for (const [type, dtype, array] of [
      ['ByteStorage', 'uint8', Uint8Array],
      ['ShortStorage', 'int16', Int16Array],
      ['LongStorage', 'int64', BigInt64Array],
      ['DoubleStorage', 'float64', Float64Array],
    ] as const) {
      const source =
        array === BigInt64Array
          ? BigInt64Array.of(0n, 1n, 2n, 3n)
          : (array as typeof Uint8Array).of(0, 1, 2, 3);
      archive(
        call(
          'torch._utils',
          '_rebuild_tensor_v2',
          storage(type, 4),
          0,
          new PyTuple([2, 2]),
          new PyTuple([1, 2]),
          false,
          null,
        ),
        { 'data/0': new Uint8Array(source.buffer) },
      );
      const tensor = readCheckpoint(path) as RawTensor;
      expect(tensor.dtype).toBe(dtype);
      expect([...typedView(tensor)].map(Number)).toEqual([0, 2, 1, 3]);
    }
  });

  it.each([
    ['an offset', view(12, [1], [1])],
    ['a shape', view(0, [13], [1])],
    ['a stride', view(0, [2, 2], [12, 1])],
    ['a negative stride', view(3, [2], [-1])],
    ['too few strides', view(0, [2, 2], [1])],
    ['a shape whose size overflows', view(0, [2 ** 40, 2 ** 40], [2 ** 40, 1])],
  ])('refuses %s beyond the storage', (_, tensor) => {
    expect(() => read(tensor)).toThrow(/a float32 tensor within the 48 bytes of its storage hand\/data\/0/);
  });

  it('unwraps parameters, and reads untyped storages with a dtype beside', () => {
    const untyped = new PyPersistent(
      new PyTuple(['storage', new PyGlobal('torch.storage', 'UntypedStorage'), '0', 'cpu', 48]),
    );
    const tensor = call(
      'torch._utils',
      '_rebuild_tensor_v3',
      untyped,
      1,
      new PyTuple([2]),
      new PyTuple([1]),
      false,
      null,
      new PyGlobal('torch', 'float32'),
    );
    expect(read(call('torch._utils', '_rebuild_parameter', tensor, true, null)).values).toEqual([1, 2]);
  });

  it('refuses a tensor whose storage is missing', () => {
    archive(view(0, [1], [1]));
    expect(() => readCheckpoint(path)).toThrow(/Expected a storage for every tensor .* none for key "0"/);
  });
});

describe('other contents', () => {
  it('reads containers and the inert extras of training scripts', () => {
    const number = call(
      'numpy._core.multiarray',
      'scalar',
      new PyReduce(
        new PyGlobal('numpy', 'dtype'),
        new PyTuple(['f8', false, true]),
        new PyTuple([3, '<', null, null, null, -1, -1, 0]),
      ),
      call('_codecs', 'encode', Buffer.from(Float64Array.of(0.25).buffer).toString('latin1'), 'latin1'),
    );
    archive([
      call('torch', 'Size', [2, 3]),
      call('torch', 'device', 'cuda', 0),
      call('collections', 'OrderedDict', [['a', 1]]),
      call('collections', 'Counter', new Map([[5, 1]])),
      call('builtins', 'set', [1, 2]),
      new PyGlobal('torch', 'bfloat16'),
      number,
    ]);
    expect(readCheckpoint(path)).toEqual([
      [2, 3],
      'cuda:0',
      new Map([['a', 1]]),
      new Map([[5, 1]]),
      [1, 2],
      'torch.bfloat16',
      0.25,
    ]);
  });

  it("gives argparse's namespace as a dict", () => {
    // NEWOBJ and BUILD, which the writer has no form for.
    const text = '\x80\x02cargparse\nNamespace\n)\x81}X\x02\x00\x00\x00lrK\x03sb.';
    archive(null, { 'data.pkl': Buffer.from(text, 'latin1') });
    expect([...(readCheckpoint(path) as Map<string, number>)]).toEqual([['lr', 3]]);
  });

  it.each([
    ['a model object', call('torch.nn.modules.linear', 'Linear'), 'torch.nn.modules.linear.Linear'],
    ['a numpy array', call('numpy._core.multiarray', '_reconstruct'), 'numpy._core.multiarray._reconstruct'],
    ['a complex tensor', storage('ComplexFloatStorage', 1), 'torch.ComplexFloatStorage'],
    [
      'a sparse tensor',
      call('torch._utils', '_rebuild_sparse_tensor'),
      'torch._utils._rebuild_sparse_tensor',
    ],
    ['code', call('builtins', 'eval', '1'), 'builtins.eval'],
  ])('refuses %s and names it', (_, value, name) => {
    archive(value);
    expect(() => readCheckpoint(path)).toThrow(`a reference to ${name}, which is refused`);
  });
});

describe('other files', () => {
  it.each([
    ['an empty file', () => writeFileSync(path, ''), /received an empty file/],
    ['text', () => writeFileSync(path, '<!DOCTYPE html>'), /a file that begins with "<!DOCTYP"/],
    ['a missing file', () => rmSync(path), /no such file exists/],
    [
      'TorchScript',
      () => archive(1, { 'constants.pkl': 'x' }),
      /received a TorchScript archive\. In Python, save only the weights/,
    ],
    [
      'another zip',
      () => writeFileSync(path, Buffer.concat([...zipChunks([])])),
      /a zip archive without data\.pkl/,
    ],
    [
      'big-endian bytes',
      () => archive(1, { byteorder: 'big' }),
      /Expected a little-endian checkpoint .* received byte order "big"\. Save it again/,
    ],
  ])('refuses %s', (_, write, message) => {
    write();
    expect(() => readCheckpoint(path)).toThrow(message);
  });

  it('refuses every shortened checkpoint', () => {
    writeCheckpoint(path, new Map([['w', floats(1, 2, 3)]]));
    const whole = readFileSync(path);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 1 }), (length) => {
        writeFileSync(path, whole);
        truncateSync(path, length);
        expect(() => readCheckpoint(path)).toThrow(/truncated or damaged|an empty file|begins with/);
      }),
    );
  });
});

describe('readStateDict', () => {
  const weights = new Map([['encoder.w', floats(1)]]);
  const parallel = new Map([['module.encoder.w', floats(1)]]);

  it.each<[string, CheckpointValue]>([
    ['plain', weights],
    ['of parallel training', parallel],
    [
      'under state_dict',
      new Map<string, CheckpointValue>([
        ['epoch', 3],
        ['state_dict', weights],
      ]),
    ],
    [
      'under model',
      new Map<string, CheckpointValue>([
        ['model', parallel],
        ['optimizer', new Map()],
      ]),
    ],
    ['under model_state_dict', new Map<string, CheckpointValue>([['model_state_dict', weights]])],
  ])('reads weights that are %s', (_, value) => {
    writeCheckpoint(path, value);
    expect(readStateDict(path)).toEqual(weights);
  });

  it.each<[string, CheckpointValue, RegExp]>([
    [
      'a dict without weights',
      new Map([['epoch', 3]]),
      /Expected a state dict, or a dict that holds one as state_dict or model or model_state_dict for .* received a dict of epoch/,
    ],
    ['an empty dict', new Map(), /received a dict of nothing/],
    ['a list', [1], /received a list/],
    ['one tensor', floats(1), /received a tensor/],
    [
      'something else among the weights',
      new Map<string, CheckpointValue>([
        ['w', floats(1)],
        ['epoch', 3],
      ]),
      /one tensor for each name for .* received a number as epoch/,
    ],
    [
      'the same name with and without module.',
      new Map([
        ['w', floats(1)],
        ['module.w', floats(2)],
      ]),
      /two tensors named w/,
    ],
  ])('refuses %s', (_, value, message) => {
    writeCheckpoint(path, value);
    expect(() => readStateDict(path)).toThrow(message);
  });

  it('is what readWeightFile gives, which reads safetensors too', () => {
    const other = join(folder, 'w.safetensors');
    writeCheckpoint(path, parallel);
    writeSafetensors(other, weights);
    expect(readWeightFile(path)).toEqual(weights);
    expect(readWeightFile(other)).toEqual(weights);
  });
});
