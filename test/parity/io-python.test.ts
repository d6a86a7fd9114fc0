/** Files written here and read by Python's own tools, and the other way round. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CheckpointValue,
  PyFloat,
  readCheckpoint,
  readStateDict,
  writeCheckpoint,
} from '../../src/io/checkpoint.js';
import { type NpyArray, readNpy, writeNpy } from '../../src/io/npy.js';
import { readNpyDict, writeNpyDict } from '../../src/io/npy-dict.js';
import { NPY_DTYPES, type NpyDType } from '../../src/io/npy-header.js';
import { readSafetensors, writeSafetensors } from '../../src/io/safetensors.js';
import { DTYPE_NAMES, DTYPES, type RawTensor } from '../../src/tensor/dtypes.js';
import { findPython, runPython } from '../oracles/python.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'io-python-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

/** One tensor of every dtype, [2, 3], whose bytes make small numbers in each: 1 and 0 repeated. */
function everyDType(): Map<string, RawTensor> {
  const one: Record<string, number> = { float16: 0x3c00, bfloat16: 0x3f80 };
  return new Map(
    DTYPE_NAMES.map((dtype) => {
      const data = new DTYPES[dtype].array(6);
      for (const i of [0, 2, 4]) data[i] = (dtype === 'int64' ? 1n : (one[dtype] ?? 1)) as never;
      return [dtype, { dtype, shape: [2, 3], data: new Uint8Array(data.buffer) }];
    }),
  );
}

const tensor = (values: number[], shape: number[]): RawTensor => ({
  dtype: 'float32',
  shape,
  data: new Uint8Array(Float32Array.from(values).buffer),
});

// `import torch` takes seconds: one run loads all of our files, and one saves all of theirs.
const torch = findPython(['torch', 'numpy']);
describe.skipIf(!torch)('PyTorch reads what we write', () => {
  /** Prints what torch.load gives for each file, with weights_only; memory-mapped it must be the same. */
  const LOAD = `
import json, sys, torch, zipfile
def show(v):
    if isinstance(v, torch.Tensor):
        return [str(v.dtype), list(v.shape), v.double().flatten().tolist(), v.is_contiguous()]
    if isinstance(v, dict): return {'dict': [[k, show(x)] for k, x in v.items()]}
    if isinstance(v, list): return [show(x) for x in v]
    return [type(v).__name__, v]
def load(path):
    plain, mapped = [show(torch.load(path, weights_only=True, mmap=m, map_location='cpu')) for m in (False, True)]
    assert plain == mapped, (plain, mapped)
    return plain
paths = sys.argv[1:]
state = torch.load(paths[2], weights_only=True)
same = state['tied'].data_ptr() == state.pop('tied').data_ptr() == state['weight'].data_ptr()
linear = torch.nn.Linear(3, 2); linear.load_state_dict(state)
print(json.dumps({
  'loaded': [load(p) for p in paths],
  'damaged': [zipfile.ZipFile(p).testzip() for p in paths],
  'linear': [same, linear(torch.ones(1, 3)).tolist()],
}))`;
  const empty: RawTensor = { dtype: 'float32', shape: [0, 4], data: new Uint8Array() };
  const scalar: RawTensor = { dtype: 'int64', shape: [], data: new Uint8Array(BigInt64Array.of(-5n).buffer) };
  const weight = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  const files: Record<string, CheckpointValue> = {
    'all.pth': everyDType(),
    'nested.pth': new Map<string | number, CheckpointValue>([
      ['int', -70000],
      ['long', 2n ** 66n],
      ['float', 0.1],
      ['whole', new PyFloat(3)],
      ['text', 'naïve ✓'],
      ['flags', [true, false, null]],
      [7, new Map([['deep', [1]]])],
      ['empty', empty],
      ['scalar', scalar],
    ]),
    'linear.pth': new Map([
      ['weight', weight],
      ['bias', tensor([7, 8], [2])],
      ['tied', weight],
    ]),
  };
  let seen: { loaded: unknown[]; damaged: unknown[]; linear: unknown };
  beforeAll(() => {
    for (const [name, value] of Object.entries(files)) writeCheckpoint(at(name), value);
    seen = JSON.parse(runPython(torch!, LOAD, Object.keys(files).map(at)));
  });

  it('state dicts of every dtype', () => {
    expect(seen.loaded[0]).toEqual({
      dict: DTYPE_NAMES.map((dtype) => [dtype, [`torch.${dtype}`, [2, 3], [1, 0, 1, 0, 1, 0], true]]),
    });
  });

  it('nested values, empty and scalar tensors', () => {
    expect(seen.loaded[1]).toEqual({
      dict: [
        ['int', ['int', -70000]],
        ['long', ['int', 2 ** 66]],
        ['float', ['float', 0.1]],
        ['whole', ['float', 3]],
        ['text', ['str', 'naïve ✓']],
        [
          'flags',
          [
            ['bool', true],
            ['bool', false],
            ['NoneType', null],
          ],
        ],
        [7, { dict: [['deep', [['int', 1]]]] }],
        ['empty', ['torch.float32', [0, 4], [], true]],
        ['scalar', ['torch.int64', [], [-5], true]],
      ],
    });
  });

  it('tied weights as one storage, and a state dict into a module', () => {
    // [1+2+3+7, 4+5+6+8]
    expect(seen.linear).toEqual([true, [[13, 23]]]);
  });

  it('as archives in which zipfile finds every checksum right', () => {
    expect(seen.damaged).toEqual([null, null, null]);
  });
});

describe.skipIf(!torch)('what PyTorch writes', () => {
  const SAVE = `
import sys, torch, numpy, argparse, warnings
warnings.simplefilter('ignore')
def save(name, value, **options): torch.save(value, f'{sys.argv[1]}/{name}.pth', **options)

for protocol in 2, 3, 4, 5:
    save(f'protocol{protocol}', {"w": torch.arange(6.).reshape(2, 3), "n": [1, -2, 2**40, -2**40, 0.5, None, True], 5: (1, "é")}, pickle_protocol=protocol)

state = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict()
for name in ${JSON.stringify(DTYPE_NAMES)}: state[name] = torch.tensor([[1, 0, 1], [0, 1, 0]], dtype=getattr(torch, name))
state['parameter'] = torch.nn.Parameter(torch.ones(2))
save('module', state)

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
model(torch.ones(1, 2)).sum().backward(); optimizer.step()
save('training', {'model': model.state_dict(), 'optimizer': optimizer.state_dict(), 'scheduler': scheduler.state_dict(),
  'args': argparse.Namespace(lr=0.5, name='x'), 'best': numpy.float64(0.25), 'count': numpy.int64(7),
  'rng': torch.get_rng_state(), 'device': torch.device('cpu'), 'size': torch.Size([2])})

a = torch.arange(24.).reshape(2, 3, 2, 2)
views = {'last': a.to(memory_format=torch.channels_last), 'flip': a.transpose(0, 3), 'step': a[:, ::2], 'expand': a[0, :1, 0].expand(3, 2)}
for k in list(views): views[k + '_dense'] = views[k].clone(memory_format=torch.contiguous_format)
save('views', views)

save('model', torch.nn.Linear(2, 1))
save('array', {"a": numpy.ones(3)})
save('complex', torch.ones(2, dtype=torch.complex64))
save('sparse', torch.eye(2).to_sparse())
save('quantized', torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8))
save('legacy', {}, _use_new_zipfile_serialization=False)
torch.jit.save(torch.jit.script(torch.nn.ReLU()), f'{sys.argv[1]}/script.pth')`;
  beforeAll(() => {
    runPython(torch!, SAVE, [folder]);
  });
  const read = (name: string) => readCheckpoint(at(`${name}.pth`));

  it.each([2, 3, 4, 5])('is read with pickle protocol %i', (protocol) => {
    expect(read(`protocol${protocol}`)).toEqual(
      new Map<string | number, CheckpointValue>([
        ['w', tensor([0, 1, 2, 3, 4, 5], [2, 3])],
        ['n', [1, -2, 2 ** 40, -(2 ** 40), 0.5, null, true]],
        [5, [1, 'é']],
      ]),
    );
  });

  it('is read: state dict of a module, parameters and buffers of every dtype', () => {
    const state = readStateDict(at('module.pth'));
    expect(state.get('0.weight')).toMatchObject({ dtype: 'float32', shape: [4, 3, 3, 3] });
    expect(state.get('1.num_batches_tracked')).toMatchObject({ dtype: 'int64', shape: [] });
    expect(state.get('parameter')).toEqual(tensor([1, 1], [2]));
    for (const [dtype, raw] of everyDType()) expect(state.get(dtype)).toEqual(raw);
  });

  it('is read: optimizer, scheduler and options beside the weights', () => {
    const value = read('training') as Map<string, CheckpointValue>;
    const optimizer = value.get('optimizer') as Map<string, Map<number, Map<string, RawTensor>>>;
    expect(optimizer.get('state')!.get(0)!.get('exp_avg')).toMatchObject({ dtype: 'float32', shape: [1, 2] });
    const scheduler = value.get('scheduler') as Map<string, CheckpointValue>;
    expect(scheduler.get('milestones')).toEqual(
      new Map([
        [3, 1],
        [5, 1],
      ]),
    );
    expect([...(value.get('args') as Map<string, CheckpointValue>)]).toEqual([
      ['lr', 0.5],
      ['name', 'x'],
    ]);
    expect(['best', 'count', 'device', 'size'].map((key) => value.get(key))).toEqual([0.25, 7, 'cpu', [2]]);
    expect(value.get('rng')).toMatchObject({ dtype: 'uint8' });
    expect(readStateDict(at('training.pth')).get('bias')).toMatchObject({ shape: [1] });
  });

  it.each(['last', 'flip', 'step', 'expand'])('is read: the view %s, made contiguous', (name) => {
    const state = read('views') as Map<string, RawTensor>;
    expect(state.get(name)).toEqual(state.get(`${name}_dense`));
  });

  it.each([
    ['model', /torch\.nn\.modules\.linear\.Linear, which is refused/],
    ['array', /multiarray\._reconstruct, which is refused/],
    ['complex', /torch\.ComplexFloatStorage, which is refused/],
    ['sparse', /which is refused/],
    ['quantized', /which is refused/],
    ['legacy', /PyTorch before 1\.6 .* Save it again in Python/],
    ['script', /received a TorchScript archive\. In Python, save only the weights/],
  ])('is refused: %s', (name, message) => {
    expect(() => read(name)).toThrow(message);
  });
});

const numpy = findPython(['numpy']);
describe.skipIf(!numpy)('numpy', () => {
  const python = (code: string, ...args: string[]) =>
    JSON.parse(runPython(numpy!, `import json, sys, numpy as np\n${code}`, args));

  /** 0, 1, 2, ... of shape [2, 3] in a dtype. */
  function counting(dtype: NpyDType): NpyArray {
    const data = new NPY_DTYPES[dtype].array(6);
    for (let i = 0; i < 6; i++)
      data[i] = (/int64/.test(dtype) ? BigInt(i) : dtype === 'bool' ? i % 2 : i) as never;
    return { dtype, shape: [2, 3], data };
  }
  const dtypes = Object.keys(NPY_DTYPES) as NpyDType[];

  it('loads our arrays of every dtype', () => {
    for (const dtype of dtypes) writeNpy(at(`${dtype}.npy`), counting(dtype));
    const code = `
out = []
for path in sys.argv[1:]:
    a = np.load(path); out.append([a.dtype.name, list(a.shape), a.astype(int).ravel().tolist()])
print(json.dumps(out))`;
    const values = (dtype: string) => (dtype === 'bool' ? [0, 1, 0, 1, 0, 1] : [0, 1, 2, 3, 4, 5]);
    expect(python(code, ...dtypes.map((dtype) => at(`${dtype}.npy`)))).toEqual(
      dtypes.map((dtype) => [dtype, [2, 3], values(dtype)]),
    );
  });

  it('saves arrays of every dtype, byte order and memory order that are read here', () => {
    const code = `
for name in sys.argv[2:]:
    for order in '<>':
        for memory in 'CF':
            a = np.arange(24).reshape(2, 3, 4).astype(np.dtype(name).newbyteorder(order))
            np.save(f'{sys.argv[1]}/{name}{"le" if order == "<" else "be"}{memory}.npy', np.asarray(a, order=memory))
print('null')`;
    python(code, folder, ...dtypes, 'float16');
    for (const name of [...dtypes, 'float16']) {
      for (const form of ['leC', 'leF', 'beC', 'beF']) {
        const array = readNpy(at(`${name}${form}.npy`));
        expect(array).toMatchObject({ dtype: name === 'float16' ? 'float32' : name, shape: [2, 3, 4] });
        expect(Array.from(array.data as ArrayLike<number | bigint>, Number)).toEqual(
          Array.from({ length: 24 }, (_, i) => (name === 'bool' ? Math.min(i, 1) : i)),
        );
      }
    }
  });

  it('loads our dicts, without a warning', () => {
    const arrays = Object.fromEntries(dtypes.map((dtype) => [dtype, counting(dtype)]));
    writeNpyDict(at('dict.npy'), {
      ...arrays,
      pred_score: new PyFloat(1),
      half: 0.5,
      n: 3,
      text: 'é',
      yes: true,
    });
    const code = `
import warnings; warnings.simplefilter('error')
d = np.load(sys.argv[1], allow_pickle=True).item()
print(json.dumps([[k, v.dtype.name, v.shape, v.astype(int).ravel().tolist(), bool(v.flags.writeable)] if isinstance(v, np.ndarray) else [k, type(v).__name__, v] for k, v in d.items()]))`;
    expect(python(code, at('dict.npy'))).toEqual([
      ...dtypes.map((dtype) => [
        dtype,
        dtype,
        [2, 3],
        dtype === 'bool' ? [0, 1, 0, 1, 0, 1] : [0, 1, 2, 3, 4, 5],
        true,
      ]),
      ['pred_score', 'float', 1],
      ['half', 'float', 0.5],
      ['n', 'int', 3],
      ['text', 'str', 'é'],
      ['yes', 'bool', true],
    ]);
  });

  it.each([2, 3, 4, 5])('pickles dicts that are read here (protocol %i)', (protocol) => {
    const code = `
import pickle
d = np.empty((), dtype=object)
d[()] = {'a': np.arange(6, dtype='>f4').reshape(2, 3), 'f': np.asfortranarray(np.arange(6, dtype='u1').reshape(2, 3)), 's': np.float32(0.5), 'b': np.bool_(True), 'i': -7, 't': 'x'}
with open(sys.argv[1], 'wb') as f:
    np.lib.format.write_array_header_1_0(f, {'descr': '|O', 'fortran_order': False, 'shape': ()})
    pickle.dump(d, f, protocol=${protocol})
print('null')`;
    python(code, at('theirs.npy'));
    expect(readNpyDict(at('theirs.npy'))).toEqual(
      new Map<string, unknown>([
        ['a', { dtype: 'float32', shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) }],
        ['f', { dtype: 'uint8', shape: [2, 3], data: Uint8Array.of(0, 1, 2, 3, 4, 5) }],
        ['s', 0.5],
        ['b', true],
        ['i', -7],
        ['t', 'x'],
      ]),
    );
  });
});

const safetensors = findPython(['safetensors', 'torch']);
describe.skipIf(!safetensors)('safetensors', () => {
  it('loads our files, and its files are read here', () => {
    writeSafetensors(at('ours.safetensors'), everyDType(), { format: 'pt' });
    const code = `
import sys
from safetensors.torch import load_file, save_file
save_file(load_file(sys.argv[1]), sys.argv[2])`;
    runPython(safetensors!, code, [at('ours.safetensors'), at('theirs.safetensors')]);
    expect(readSafetensors(at('theirs.safetensors'))).toEqual(everyDType());
  });
});
