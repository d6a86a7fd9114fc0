/** Bad calls: which class, code and operation, and words that name the argument. Never a C++ backtrace. */
import { describe, expect, it } from 'vitest';
import { TorchError } from '../../src/native/index.js';
import { deviceAvailable, scope, setNumThreads, setRngState, Tensor } from '../../src/tensor/index.js';
import { caught, expectTorchError } from './support.js';

const f = () => Tensor.from([1, 2, 3]);
const i = () => Tensor.from(BigInt64Array.of(1n, 2n));
const image = () => Tensor.zeros([1, 1, 2, 2]);
const wrong = (value: unknown) => value as never;
const INVALID = 'ERR_INVALID_ARG';
const TORCH = 'ERR_TORCH';

type Case = [name: string, call: () => unknown, code: string, op: string, message: RegExp | string];
const check = (call: () => unknown, code: string, op: string, message: RegExp | string) =>
  scope(() => expectTorchError(caught(call), { code, op, message }));

describe('wrong shapes', () => {
  it.each<Case>([
    [
      'sizes that do not broadcast',
      () => f().add(i()),
      TORCH,
      'add',
      /size of tensor a \(3\).*tensor b \(2\)/,
    ],
    ['an inner size that differs', () => f().matmul(Tensor.zeros([4, 1])), TORCH, 'matmul', /3|4/],
    ['reshape to another size', () => f().reshape(2), TORCH, 'reshape', "shape '[2]' is invalid for input"],
    ['two sizes to infer', () => f().view(-1, -1), TORCH, 'view', 'only one dimension can be inferred'],
    ['a view across strides', () => Tensor.zeros([2, 3]).transpose(0, 1).view(6), TORCH, 'view', 'reshape'],
    ['a dimension that is not there', () => f().sum(3), TORCH, 'sum', /out of range.*\[-1, 0\].*got 3/],
    ['softmax over no dimension', () => f().softmax(1), TORCH, 'softmax', /Dimension out of range/],
    ['select beyond the end', () => f().select(0, 5), TORCH, 'select', 'index 5 out of range'],
    ['narrow beyond the end', () => f().narrow(0, 2, 5), TORCH, 'narrow', 'exceeds dimension size (3)'],
    [
      'indexSelect beyond the end',
      () => f().indexSelect(0, i().add(9)),
      TORCH,
      'indexSelect',
      'out of range',
    ],
    ['permute of too few', () => Tensor.zeros([2, 2]).permute(0), TORCH, 'permute', /number of dimensions/],
    ['expand of a size above 1', () => f().expand(4), TORCH, 'expand', /expanded size.*\(4\).*\(3\)/],
    [
      'cat of unlike sizes',
      () => Tensor.cat([Tensor.zeros([1, 2]), Tensor.zeros([1, 3])]),
      TORCH,
      'cat',
      /match/,
    ],
    ['cat of nothing', () => Tensor.cat([]), TORCH, 'cat', 'non-empty list'],
    ['stack of unlike sizes', () => Tensor.stack([f(), i()]), TORCH, 'stack', 'equal size'],
    ['resizing what is no image', () => f().interpolate([2, 2]), TORCH, 'interpolate', /4, but got size 1/],
    ['resizing to nothing', () => image().interpolate([0, 2]), TORCH, 'interpolate', 'greater than 0'],
    ['one size for two', () => image().interpolate(wrong([2])), TORCH, 'interpolate', '2, but got size 1'],
    [
      'a kernel larger than the image',
      () => image().conv2d(Tensor.ones([1, 1, 3, 3])),
      TORCH,
      'conv2d',
      'Kernel size',
    ],
    ['channels that differ', () => image().conv2d(Tensor.ones([1, 2, 1, 1])), TORCH, 'conv2d', 'channels'],
    [
      'a stride of 0',
      () => image().conv2d(Tensor.ones([1, 1, 1, 1]), { stride: 0 }),
      TORCH,
      'conv2d',
      'stride',
    ],
    [
      'a norm of another width',
      () => f().layerNorm(Tensor.ones([2]), Tensor.ones([2])),
      TORCH,
      'layerNorm',
      'normalized_shape',
    ],
    ['a mask of another shape', () => f().maskedFill(i().gt(0), 1), TORCH, 'maskedFill', 'must match'],
    ['copying another shape', () => f().copy_(i()), TORCH, 'copy_', 'must match'],
    ['the largest of nothing', () => Tensor.zeros([0]).amax(), TORCH, 'amax', 'non-zero size'],
    ['a negative size', () => Tensor.zeros([-1]), TORCH, 'full', 'negative dimension -1'],
    ['an odd padding', () => image().pad([1]), TORCH, 'pad', /[Pp]adding/],
    ['item of many', () => f().item(), INVALID, 'item', 'needs a tensor of one element but this one has 3'],
    [
      'data of another length',
      () => Tensor.from([1, 2], [3]),
      INVALID,
      'fromTypedArray',
      'Expected 12 bytes',
    ],
  ])('%s', (_, call, code, op, message) => check(call, code, op, message));
});

describe('wrong types and values', () => {
  it.each<Case>([
    ['a mean of integers', () => i().mean(), TORCH, 'mean', /floating point/],
    ['a softmax of integers', () => i().softmax(0), TORCH, 'softmax', "not implemented for 'Long'"],
    [
      'gradients of integers',
      () => Object.assign(i(), { requiresGrad: true }),
      TORCH,
      'setRequiresGrad',
      'floating point',
    ],
    ['an index of floats', () => f().gather(0, f()), TORCH, 'gather', 'int32/int64'],
    [
      'a target out of range',
      () => Tensor.zeros([2, 3]).crossEntropy(i().add(5)),
      TORCH,
      'crossEntropy',
      'Target 6',
    ],
    ['a difference of booleans', () => f().gt(1).sub(1), TORCH, 'sub', 'bool tensor'],
    ['clamp without bounds', () => f().clamp(), TORCH, 'clamp', "At least one of 'min' or 'max'"],
    ['a step of 0', () => Tensor.arange(0, 1, 0), TORCH, 'arange', 'step must be nonzero'],
    ['an unknown padding', () => image().pad([1, 1], wrong('mirror')), TORCH, 'pad', 'mirror'],
    [
      'an unknown resize',
      () => image().interpolate([2, 2], wrong('cubic')),
      INVALID,
      'interpolate',
      "received 'cubic'",
    ],
    ['a fractional size', () => Tensor.zeros([1.5]), INVALID, 'full', "an integer for argument 'shape[0]'"],
    ['a size in words', () => Tensor.zeros(wrong(['a'])), INVALID, 'full', "received the string 'a'"],
    [
      'a shape that is no array',
      () => Tensor.zeros(wrong(3)),
      INVALID,
      'full',
      "an array for argument 'shape'",
    ],
    ['an unknown device', () => f().to({ device: wrong('gpu') }), INVALID, 'to', "received the string 'gpu'"],
    [
      'a flag in words',
      () => f().sum(0, wrong('yes')),
      INVALID,
      'sum',
      "true or false for argument 'keepdim'",
    ],
    ['dims in words', () => f().sum(wrong('a')), INVALID, 'sum', "an array for argument 'dims'"],
    ['a value in words', () => f().fill_(wrong('1')), INVALID, 'fill_', "a number for argument 'value'"],
    ['no threads', () => setNumThreads(0), TORCH, 'setNumThreads', 'positive number of threads'],
    ['a device in no form', () => deviceAvailable(wrong('foo')), INVALID, 'deviceAvailable', "such as 'cpu'"],
    ['a random state of floats', () => setRngState(f().toRaw()), TORCH, 'setRngState', 'ByteTensor'],
  ])('%s', (_, call, code, op, message) => check(call, code, op, message));

  it('more memory than there is has a code of its own', () =>
    check(() => Tensor.zeros([2 ** 45]), 'ERR_OUT_OF_MEMORY', 'full', /allocate/));

  it.each<[string, () => unknown, string]>([
    ['nothing', () => f().add(wrong(undefined)), 'undefined'],
    ['null', () => f().mul(wrong(null)), 'null'],
    ['a string', () => f().pow(wrong('2')), 'string'],
    ['an array', () => f().eq(wrong([1])), 'an array'],
    ['an object', () => f().matmul(wrong({})), 'object'],
    ['a number where a tensor must be', () => f().logicalAnd(wrong(1)), 'number'],
    ['a string in a list', () => Tensor.cat([f(), wrong('a')]), 'string'],
    ['nothing as a condition', () => Tensor.where(wrong(undefined), 1, 0), 'undefined'],
    ['a number as gradient', () => f().backward(wrong(1)), 'number'],
  ])('%s as a tensor', (_, call, received) =>
    scope(() => {
      const error = caught(call) as Error;
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toBe(`Expected a Tensor but received ${received}`);
    }),
  );

  it.each<[string, () => unknown, string]>([
    [
      '16-bit data without a dtype',
      () => Tensor.from(new Uint16Array(2)),
      'Expected a dtype for data in a Uint16Array',
    ],
    [
      'a Buffer without a dtype',
      () => Tensor.from(Buffer.from([1])),
      'Expected a dtype for data in a Buffer',
    ],
    [
      'data of another dtype',
      () => Tensor.from(Int32Array.of(1), [1], 'int64'),
      'Expected a BigInt64Array for dtype int64 but received a Int32Array',
    ],
    ['an unknown dtype', () => Tensor.zeros([1], wrong('float')), "received 'float'"],
    ['conversion to an unknown dtype', () => f().to({ dtype: wrong('half') }), "received 'half'"],
  ])('%s is a TypeError', (_, call, message) =>
    scope(() => {
      const error = caught(call) as Error;
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toContain(message);
    }),
  );

  it('memory shared between threads is taken, or refused by name', () => {
    const shared = new Float32Array(new SharedArrayBuffer(8)).fill(2);
    let values: number[] | undefined;
    try {
      values = scope(() => [...Tensor.from(shared).toFloat32()]);
    } catch (error) {
      expectTorchError(error, { code: INVALID, op: 'fromTypedArray', message: /[Ss]hared/ });
    }
    if (values) expect(values).toEqual([2, 2]);
  });

  it('an unknown reduction is refused, not read as another', () =>
    check(
      () => Tensor.zeros([2, 3]).crossEntropy(i(), { reduction: wrong('avg') }),
      INVALID,
      'crossEntropy',
      "'avg'",
    ));

  it('sizes that no integer holds are refused as such', () => {
    for (const size of [Number.POSITIVE_INFINITY, 1e300])
      check(() => Tensor.zeros([size]), INVALID, 'full', "an integer for argument 'shape[0]'");
  });

  it('a value that the dtype cannot hold is the caller’s fault, not an internal one', () => {
    for (const call of [() => Tensor.full([1], Number.NaN, 'int64'), () => Tensor.full([1], 1e30, 'int32')])
      scope(() => {
        const error = caught(call) as TorchError;
        expect(error).toBeInstanceOf(TorchError);
        expect(['ERR_INVALID_ARG', 'ERR_TORCH']).toContain(error.code);
        expect(error.message).toContain('cannot be converted');
      });
  });

  it('integers to negative powers are refused, as in PyTorch', () =>
    check(() => i().pow(-1), TORCH, 'pow', 'negative integer powers'));
});
