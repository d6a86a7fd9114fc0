import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unpickle } from '../../src/io/pickle-reader.js';
import { pickle } from '../../src/io/pickle-writer.js';
import { PyFloat, PyGlobal, PyPersistent, PyReduce, PyTuple } from '../../src/io/python-values.js';

const encode = (value: unknown, protocol: 2 | 4 = 2) =>
  Buffer.concat(pickle(value, { protocol, describe: () => undefined }));

const decode = (bytes: Uint8Array | string, globals = new Map<string, unknown>()) =>
  unpickle(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, {
    source: 'x.pth',
    globals,
    persistentLoad: (id) => ({ id }),
  });

const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }),
    fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }).filter((n) => !Number.isSafeInteger(Number(n))),
    fc.string({ unit: 'grapheme' }),
    fc.array(tie('value')),
    fc.array(fc.tuple(fc.oneof(fc.string(), fc.integer()), tie('value'))).map((pairs) => new Map(pairs)),
  ),
})).value;

describe('round trip', () => {
  it.each([2, 4] as const)('gives plain values back (protocol %i)', (protocol) => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decode(encode(value, protocol))).toEqual(value);
      }),
    );
  });

  it('keeps bytes in protocol 4', () => {
    // BINBYTES8, which this reader has no need for, is what the writer uses: check the bytes themselves.
    expect([...encode(Uint8Array.of(7, 8), 4)]).toEqual([0x80, 4, 0x8e, 2, 0, 0, 0, 0, 0, 0, 0, 7, 8, 0x2e]);
  });
});

describe('writing', () => {
  // Expected bytes: pickle.dumps(value, 2) of Python, without its memo opcodes.
  it.each<[string, unknown, string]>([
    ['a small int', 7, '80024b072e'],
    ['a negative int', -2, '80024afeffffff2e'],
    ['a large int', 2 ** 40, '80028a060000000000012e'],
    ['a float', 0.5, '8002473fe00000000000002e'],
    ['a whole float', new PyFloat(1), '8002473ff00000000000002e'],
    ['negative zero', -0, '80024780000000000000002e'],
    ['text', 'é', '80025802000000c3a92e'],
    ['a tuple', new PyTuple([1]), '8002284b01742e'],
  ])('writes %s as Python does', (_, value, hex) => {
    expect(encode(value).toString('hex')).toBe(hex);
  });

  it('names the entry that cannot be written', () => {
    const at = (value: unknown) => () => encode(new Map([['cfg', [1, value]]]));
    expect(at(undefined)).toThrow(/for entry cfg\.1 but received undefined/);
    expect(at(() => 0)).toThrow(/for entry cfg\.1 but received function/);
    expect(at(new Date())).toThrow(/for entry cfg\.1 but received an object of class Date/);
    expect(at(Uint8Array.of(1))).toThrow(/received bytes \(give a uint8 tensor instead\)/);
    const circle: unknown[] = [];
    circle.push(circle);
    expect(at(circle)).toThrow(/for entry cfg\.1\.0 but received a value that contains itself/);
  });

  it('takes the same value twice', () => {
    const shared = [1];
    expect(decode(encode([shared, shared]))).toEqual([[1], [1]]);
  });
});

describe('reading', () => {
  it('calls only the functions of the allow-list', () => {
    const globals = new Map<string, unknown>([['m.pair', (a: unknown, b: unknown) => ({ a, b })]]);
    const bytes = encode(new PyReduce(new PyGlobal('m', 'pair'), new PyTuple([1, 'x'])));
    expect(decode(bytes, globals)).toEqual({ a: 1, b: 'x' });
  });

  it('resolves persistent ids', () => {
    expect(decode(encode(new PyPersistent(new PyTuple(['storage', '0']))))).toEqual({ id: ['storage', '0'] });
  });

  it.each([
    ['by GLOBAL', 'cposix\nsystem\n(X\x02\x00\x00\x00lstR.'],
    ['by STACK_GLOBAL', '\x8c\x05posix\x8c\x06system\x93(X\x02\x00\x00\x00lstR.'],
  ])('refuses another name %s, before anything is called', (_, text) => {
    expect(() => decode(text)).toThrow(
      /x\.pth but received a reference to posix\.system, which is refused because loading it could run code\. In Python, save only the weights/,
    );
  });

  it('does not take an inherited property for an allowed name', () => {
    expect(() => decode('c__proto__\nconstructor\n.')).toThrow(/refused/);
  });

  it.each([
    ['an empty pickle', '', /one that ends too early/],
    ['no STOP', 'N', /one that ends too early/],
    ['a cut string', 'X\x05\x00\x00\x00ab', /one that ends too early/],
    ['a cut name', 'cposix', /one that ends too early/],
    ['an unknown opcode', '\xff.', /opcode 0xff at byte 0/],
    ['an empty stack', '.', /takes a value where there is none/],
    ['an unmatched mark', 't.', /an unmatched mark/],
    ['an unknown memo', 'h\x05.', /recalls value 5/],
    ['items of no dict', ']NNs.', /sets items of what is no dict/],
    ['an odd number of items', '}(Nu.', /sets items of what is no dict/],
    ['items of no list', '}Na.', /appends to what is no list/],
    ['a call of no function', 'N)R.', /calls what is no function/],
    ['attributes of a list', ']Nb.', /sets attributes of a plain value/],
  ])('refuses %s', (_, text, message) => {
    expect(() => decode(text)).toThrow(message);
  });

  it('reads or refuses, but never fails otherwise, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toMatchObject({ name: 'FileFormatError' });
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("ignores attributes of a dict, such as a state dict's _metadata", () => {
    const globals = new Map<string, unknown>([['collections.OrderedDict', () => new Map()]]);
    const text = 'ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00aK\x01u}(X\x09\x00\x00\x00_metadataK\x02ub.';
    expect(decode(text, globals)).toEqual(new Map([['a', 1]]));
  });
});
