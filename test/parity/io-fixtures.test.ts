/** Files that numpy and PyTorch wrote (test/fixtures/io), and what those say is in them. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readCheckpoint, readStateDict } from '../../src/io/checkpoint.js';
import { type NpyArray, readNpy, readNpyHeader } from '../../src/io/npy.js';
import { readNpyDict } from '../../src/io/npy-dict.js';
import { readSafetensors } from '../../src/io/safetensors.js';
import { type RawTensor, typedView } from '../../src/tensor/dtypes.js';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/io/${name}`, import.meta.url));
const json = (name: string) => JSON.parse(readFileSync(fixture(name), 'utf8'));
const numbers = ({ data }: NpyArray) => Array.from(data as ArrayLike<number | bigint>, Number);

describe('npy', () => {
  const slice = readNpy(fixture('npy/slice_u1.npy'));

  it('holds the slice that numpy.load gives', () => {
    // numpy: a.dtype, a.shape, a[0, :6], a[-1, -3:], a.max(), a.sum()
    expect(slice).toMatchObject({ dtype: 'uint8', shape: [24, 30] });
    const values = numbers(slice);
    expect(values.slice(0, 6)).toEqual([14, 26, 19, 29, 58, 158]);
    expect(values.slice(-3)).toEqual([26, 8, 9]);
    expect(Math.max(...values)).toBe(252);
    expect(values.reduce((sum, value) => sum + value)).toBe(69299);
  });

  it.each([
    ['slice_u2', 'uint16', [24, 30]],
    ['slice_i2', 'int16', [24, 30]],
    ['slice_i2_be', 'int16', [24, 30]],
    ['slice_i8', 'int64', [24, 30]],
    ['slice_f2', 'float32', [24, 30]],
    ['slice_f4', 'float32', [24, 30]],
    ['slice_f8', 'float64', [24, 30]],
    ['slice_fortran', 'float32', [24, 30]],
    ['slice_singleton', 'float32', [1, 24, 30]],
    ['slice_v2', 'uint8', [24, 30]],
  ])('reads %s as the same values', (name, dtype, shape) => {
    const array = readNpy(fixture(`npy/${name}.npy`));
    expect(array).toMatchObject({ dtype, shape });
    expect(numbers(array)).toEqual(numbers(slice));
    expect(readNpyHeader(fixture(`npy/${name}.npy`))).toMatchObject({ dtype, shape });
  });

  it('reads booleans and colour', () => {
    const bools = readNpy(fixture('npy/slice_b1.npy'));
    expect(bools.dtype).toBe('bool');
    // numpy: slice_b1 equals slice_u1 > 100
    expect(numbers(bools)).toEqual(numbers(slice).map((value) => (value > 100 ? 1 : 0)));
    const colour = readNpy(fixture('npy/slice_rgb.npy'));
    expect(colour.shape).toEqual([24, 30, 3]);
    // numpy: a[0, :2], a.sum()
    expect(numbers(colour).slice(0, 6)).toEqual([14, 21, 26, 26, 21, 25]);
    expect(numbers(colour).reduce((sum, value) => sum + value)).toBe(190312);
  });

  it('keeps NaN, which is for the reader of slices to judge', () => {
    // numpy: np.argwhere(np.isnan(a)) is [[3, 4]]
    const values = numbers(readNpy(fixture('npy/bad_nan.npy')));
    expect(values.flatMap((value, i) => (Number.isNaN(value) ? [i] : []))).toEqual([3 * 30 + 4]);
  });

  it.each([
    ['bad_empty', /an empty file/],
    ['bad_magic', /begins with "NOTNUM"/],
    ['bad_object', /an object array .* could run code/],
    ['bad_truncated', /Expected 720 bytes of array data .* only 620 bytes/],
  ])('refuses %s', (name, message) => {
    expect(() => readNpy(fixture(`npy/${name}.npy`))).toThrow(message);
    expect(() => readNpy(fixture(`npy/${name}.npy`))).toThrow(`${name}.npy`);
  });
});

describe('pickled dicts', () => {
  it("reads the original's exported map", () => {
    const facts = json('cam_dict.json');
    const dict = readNpyDict(fixture('cam_dict.npy'));
    expect([...dict.keys()]).toEqual(['cam', 'cam_raw', 'pred_score', 'cls_label']);
    const cam = dict.get('cam') as NpyArray;
    expect(cam).toMatchObject({ dtype: 'float32', shape: facts.shape });
    expect(numbers(cam).reduce((sum, value) => sum + value)).toBeCloseTo(facts.cam_sum, 3);
    expect(cam.data[5]).toBeCloseTo(facts.cam_0_5, 7);
    expect(dict.get('pred_score')).toBe(facts.pred_score);
    expect(numbers(dict.get('cls_label') as NpyArray)).toEqual(facts.cls_label);
  });

  it('reads one-hot labels by image', () => {
    const facts = json('cls_labels_onehot.json');
    const dict = readNpyDict(fixture('cls_labels_onehot.npy'));
    expect(Object.fromEntries([...dict].map(([name, label]) => [name, numbers(label as NpyArray)]))).toEqual(
      facts,
    );
  });
});

describe('safetensors', () => {
  it('opens every fixture with the shapes that its bytes fill', () => {
    const tensors = readSafetensors(fixture('image_ops.safetensors'));
    expect(tensors.size).toBe(13);
    for (const raw of tensors.values()) {
      expect(typedView(raw).length).toBe(raw.shape.reduce((n, d) => n * d, 1));
    }
  });
});

describe('checkpoints', () => {
  /** Values of torch.load(fixture): a.weight, n, b, h (half) and bf (bfloat16). */
  const expectWeights = (state: Map<string, RawTensor>) => {
    expect([...state.keys()]).toEqual(['encoder.a.weight', 'encoder.n', 'b', 'h', 'bf']);
    const weight = state.get('encoder.a.weight')!;
    expect(weight).toMatchObject({ dtype: 'float32', shape: [2, 3] });
    expect([...typedView(weight)]).toEqual([0, 1, 2, 3, 4, 5]);
    expect(state.get('encoder.n')).toMatchObject({ dtype: 'int64', shape: [] });
    expect([...typedView(state.get('encoder.n')!)]).toEqual([7n]);
    expect(state.get('b')).toEqual({ dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) });
    // 0, 1, 2, 3 as IEEE half and as bfloat16 bits.
    expect([...typedView(state.get('h')!)]).toEqual([0, 0x3c00, 0x4000, 0x4200]);
    expect([...typedView(state.get('bf')!)]).toEqual([0, 0x3f80, 0x4000, 0x4040]);
  };

  it('reads the state dict of a parallel model', () =>
    expectWeights(readStateDict(fixture('ddp_state_dict.pth'))));

  it('reads a nested checkpoint', () => {
    expectWeights(readStateDict(fixture('nested.pth')));
    const whole = readCheckpoint(fixture('nested.pth')) as Map<string, unknown>;
    expect(whole.get('iter')).toBe(123);
    expect(whole.get('cfg')).toEqual(
      new Map<string, unknown>([
        ['lr', 6e-5],
        ['name', 'x'],
      ]),
    );
  });

  it('reads strided views of one storage', () => {
    const facts = json('torch.json').strided_views;
    const state = readStateDict(fixture('strided_views.pth'));
    expect(state.get('t')).toMatchObject({ shape: [4, 3] });
    expect([...typedView(state.get('t')!)]).toEqual(facts.t.flat());
    expect([...typedView(state.get('row')!)]).toEqual(facts.row);
  });

  it('refuses the form from before PyTorch 1.6, with the remedy', () => {
    expect(() => readStateDict(fixture('legacy_nonzip.pth'))).toThrow(
      /legacy_nonzip\.pth but received the form that PyTorch before 1\.6 wrote\. Save it again in Python: torch\.save\(/,
    );
  });

  it('refuses a truncated file', () => {
    expect(() => readStateDict(fixture('bad_truncated.pth'))).toThrow(
      /bad_truncated\.pth .* truncated or damaged/,
    );
  });

  it('refuses a pickle that would run a command, and does not run it', () => {
    // The file's pickle calls os.system('touch /tmp/pwned_by_checkpoint').
    const trace = '/tmp/pwned_by_checkpoint';
    rmSync(trace, { force: true });
    expect(() => readCheckpoint(fixture('bad_malicious.pth'))).toThrow(
      /bad_malicious\.pth but received a reference to posix\.system, which is refused/,
    );
    expect(existsSync(trace)).toBe(false);
  });
});
