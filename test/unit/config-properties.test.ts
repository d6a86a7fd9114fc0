import fc from 'fast-check';
import yaml from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { fieldAt, leafKeys } from '../../src/config/keys.js';
import { loadConfig } from '../../src/config/load.js';
import { dumpConfig } from '../../src/config/resolve.js';
import { parseYaml } from '../../src/config/yaml.js';
import { MINIMAL, yamlFile } from './config-fixtures.js';

const at = (value: unknown, key: string): unknown =>
  key.split('.').reduce<unknown>((v, part) => (v as Record<string, unknown>)[part], value);

/** Keys that are free of each other, with three sound values and the default of each. */
const FREE_KEYS = [
  { key: 'dataset.crop_size', values: [64, 96, 512], unset: 320 },
  { key: 'train.radius', values: [1, 5, 9], unset: 8 },
  { key: 'train.seg_detach', values: [true, true, true], unset: false },
  { key: 'backbone.pooling', values: ['gap', 'gmp', 'gap'], unset: 'gmp' },
  { key: 'work_dir.dir', values: ['a b', '1e5', '# x'], unset: 'work_dir_lasc' },
  { key: 'cam.par.num_iter', values: [1, 2, 3], unset: 10 },
  { key: 'cam.scales', values: [[1], [1, 2], [0.75, 1]], unset: [1, 0.5, 1.5] },
] as const;

function yamlWith(values: ReadonlyMap<string, unknown>): string {
  const document = yaml.load(MINIMAL) as Record<string, Record<string, unknown>>;
  for (const [key, value] of values) {
    const parts = key.split('.');
    const leaf = parts.pop()!;
    let section: Record<string, unknown> = document;
    for (const part of parts) {
      section[part] ??= {};
      section = section[part] as Record<string, unknown>;
    }
    section[leaf] = value;
  }
  return yaml.dump(document);
}

describe('precedence', () => {
  it('flag or --set over YAML over default, for every mix of keys', () => {
    // Each key is given in the file or not, and by a flag, by --set or not again.
    const mix = fc.tuple(
      ...FREE_KEYS.map(() => fc.record({ file: fc.boolean(), over: fc.constantFrom('flag', 'set', 'none') })),
    );
    fc.assert(
      fc.property(mix, (choices) => {
        const rows = FREE_KEYS.map((row, i) => ({ ...row, ...choices[i]! }));
        const file = yamlFile(yamlWith(new Map(rows.filter((r) => r.file).map((r) => [r.key, r.values[0]]))));
        const { config, sources } = loadConfig({
          file,
          flags: rows
            .filter((r) => r.over === 'flag')
            .map((r) => ({ key: r.key, flag: '--f', value: r.values[1] })),
          set: rows.filter((r) => r.over === 'set').map((r) => `${r.key}=${JSON.stringify(r.values[2])}`),
        });
        for (const { key, values, unset, file: inFile, over } of rows) {
          const winner =
            over === 'flag' ? values[1] : over === 'set' ? values[2] : inFile ? values[0] : unset;
          expect(at(config, key)).toEqual(winner);
          const source =
            over === 'flag' ? /^--f$/ : over === 'set' ? /^--set / : inFile ? /\.yaml:\d+$/ : /^default$/;
          expect(sources[key]).toMatch(source);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('the resolved file', () => {
  const words = fc.string({ minLength: 1, maxLength: 20 }).filter((s) => s.trim() === s && s !== '');

  it('reads back as the same configuration, whatever the texts in it', () => {
    fc.assert(
      fc.property(words, words, fc.double({ min: 1e-12, max: 10, noNaN: true }), (dir, comments, rate) => {
        const file = yamlFile(MINIMAL);
        const flags = [
          { key: 'work_dir.dir', flag: '--work_dir', value: dir },
          { key: 'backbone.comments', flag: '--c', value: comments },
          { key: 'optimizer.learning_rate', flag: '--lr', value: rate },
        ];
        const { config, sources } = loadConfig({ file, flags });
        const again = loadConfig({ file: yamlFile(dumpConfig(config, sources)) });
        expect(again.config).toEqual(config);
        expect(again.notes).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it('says behind each value where it came from', () => {
    const file = yamlFile(MINIMAL);
    const { config, sources } = loadConfig({ file, set: ['train.radius=5'] });
    const text = dumpConfig(config, sources);
    expect(text).toContain(`  config: mit_b0  # ${file}:2\n`);
    expect(text).toContain('  radius: 5  # --set train.radius=5\n');
    expect(text).toContain('    num_iter: 10  # default\n');
    expect(text).toContain('  name: lasc  # from dataset.root_dir\n');
  });
});

describe('any value at any key', () => {
  it('is taken or refused with that key in the message, never a crash', () => {
    fc.assert(
      fc.property(fc.constantFrom(...leafKeys()), fc.jsonValue(), (key, value) => {
        try {
          const { config } = loadConfig({ file: yamlFile(yamlWith(new Map([[key, value]]))) });
          const read = fieldAt(key)!.safeParse(value);
          expect(read.success).toBe(true);
          expect(at(config, key)).toEqual(read.data);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          expect((error as Error).message).toContain(key.split('.').at(-1));
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('lines of a YAML document', () => {
  type Node = string | Node[] | { [key: string]: Node };
  const { tree } = fc.letrec<{ tree: Node }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom('1', 'text here', "'a: b'", '[1, {x: 2}]', '', '"q" # note', '{k: v, l: }'),
      fc.dictionary(fc.constantFrom('a', 'b', 'c_d', 'e f', '"g"'), tie('tree'), { minKeys: 1, maxKeys: 4 }),
      fc.array(
        tie('tree').map((node) => (node === '' ? '~' : node)),
        { minLength: 1, maxLength: 3 },
      ),
    ),
  }));

  /** Writes block YAML with blank and comment lines in between, and notes the line of every key and element. */
  function emit(node: Node, indent: string, path: string, out: string[], lines: Map<string, number>): void {
    if (typeof node === 'string') return;
    const entries = Array.isArray(node) ? node.map((v, i) => [String(i), v] as const) : Object.entries(node);
    for (const [name, value] of entries) {
      const key = name.replaceAll('"', '');
      const child = path === '' ? key : `${path}.${key}`;
      if (out.length % 3 === 0) out.push('', '  # in between');
      out.push(
        `${indent}${Array.isArray(node) ? '-' : `${name}:`} ${typeof value === 'string' ? value : ''}`,
      );
      // An element that starts on a later line has no place of its own.
      if (!Array.isArray(node) || typeof value === 'string') lines.set(child, out.length);
      emit(value, `${indent}  `, child, out, lines);
    }
  }

  it('are those where the keys stand', () => {
    fc.assert(
      fc.property(tree, (node) => {
        const out: string[] = ['# head'];
        const lines = new Map<string, number>();
        emit(node, '', '', out, lines);
        const found = parseYaml(out.join('\n')).lines;
        for (const [path, line] of lines) expect([path, found.get(path)]).toEqual([path, line]);
      }),
      { numRuns: 300 },
    );
  });

  it('hold within flow collections, quoted keys and repeated words', () => {
    const { lines } = parseYaml('a:\n  - {b: 1,\n     "b c": b}\nb:\n"d" : [\n1,\n2]');
    expect(Object.fromEntries(lines)).toMatchObject({
      a: 1,
      'a.0.b': 2,
      'a.0.b c': 3,
      b: 4,
      d: 5,
      'd.0': 6,
      'd.1': 7,
    });
  });
});
