/**
 * ImageNet weights under the names of the hub. Names and shapes of transformers 4 are the reference fixture's
 * (test/fixtures/model/hf_mit_b0_96.json); those of transformers 5 follow from its own conversion table
 * (transformers/conversion_mapping.py, "SegformerModel"), written out here.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeCheckpoint } from '../../src/io/checkpoint.js';
import { writeSafetensors } from '../../src/io/safetensors.js';
import { readWeightFile } from '../../src/io/weight-file.js';
import { convertPretrained } from '../../src/models/pretrained.js';
import { WeTr } from '../../src/models/wetr.js';
import { deterministicWeight } from '../../src/parity/deterministic-weights.js';
import type { RawTensor } from '../../src/tensor/index.js';

type Weights = Map<string, RawTensor>;

const { keys } = JSON.parse(
  readFileSync(new URL('../fixtures/model/hf_mit_b0_96.json', import.meta.url), 'utf8'),
) as { keys: Record<string, number[]> };

const V4: Weights = new Map(
  Object.entries(keys).map(([name, shape]) => [name, deterministicWeight(name, shape)]),
);

const TO_V5: [RegExp, string][] = [
  [/encoder\.patch_embeddings\.(\d+)\./, 'stages.$1.patch_embeddings.'],
  [/encoder\.block\.(\d+)\./, 'stages.$1.blocks.'],
  [/encoder\.layer_norm\.(\d+)/, 'stages.$1.layer_norm'],
  [/attention\.self\.query/, 'attention.q_proj'],
  [/attention\.self\.key/, 'attention.k_proj'],
  [/attention\.self\.value/, 'attention.v_proj'],
  [/attention\.self\.sr/, 'attention.sequence_reduction.sequence_reduction'],
  [/attention\.self\.layer_norm/, 'attention.sequence_reduction.layer_norm'],
  [/attention\.output\.dense/, 'attention.o_proj'],
  [/mlp\.dense1/, 'mlp.fc1'],
  [/mlp\.dense2/, 'mlp.fc2'],
  [/layer_norm_1/, 'layernorm_before'],
  [/layer_norm_2/, 'layernorm_after'],
];
const toV5 = (name: string) => TO_V5.reduce((n, [from, to]) => n.replace(from, to), name);
const V5: Weights = new Map([...V4].map(([name, tensor]) => [toV5(name), tensor]));

const folder = mkdtempSync(join(tmpdir(), 'afa-names-'));
let encoder: Weights;
beforeAll(() => {
  const model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
  const own = [...model.stateDict()].filter(([name]) => name.startsWith('encoder.'));
  encoder = new Map(own.map(([name, tensor]) => [name.slice('encoder.'.length), tensor]));
  model.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const shapes = (weights: Weights) => [...weights].map(([name, { shape }]) => `${name} [${shape}]`).sort();
const bytes = (weights: Weights) =>
  Object.fromEntries([...weights].map(([name, { data }]) => [name, Buffer.from(data).toString('base64')]));

describe('names of the hub', () => {
  it('of transformers 5 look like this', () => {
    expect([...V5.keys()]).toEqual(
      expect.arrayContaining([
        'segformer.stages.0.patch_embeddings.proj.weight',
        'segformer.stages.0.patch_embeddings.layer_norm.bias',
        'segformer.stages.0.blocks.1.attention.sequence_reduction.sequence_reduction.weight',
        'segformer.stages.3.blocks.0.mlp.dwconv.dwconv.weight',
        'segformer.stages.3.layer_norm.weight',
        'classifier.weight',
      ]),
    );
  });

  it.each([
    ['transformers 4', V4],
    ['transformers 5', V5],
    ['transformers 5, the encoder alone', new Map([...V5].map(([n, t]) => [n.replace('segformer.', ''), t]))],
  ])('of %s become the encoder’s, all of them', (_, weights) => {
    const converted = convertPretrained(weights, 'file');
    expect(shapes(converted)).toEqual(shapes(encoder));
  });

  it('give the same weights in both namings and both forms of file', () => {
    const expected = bytes(convertPretrained(V4, 'file'));
    expect(bytes(convertPretrained(V5, 'file'))).toEqual(expected);
    for (const [name, weights] of [
      ['v4', V4],
      ['v5', V5],
    ] as const) {
      writeCheckpoint(join(folder, `${name}.bin`), weights);
      writeSafetensors(join(folder, `${name}.safetensors`), weights, { format: 'pt' });
      for (const file of [`${name}.bin`, `${name}.safetensors`])
        expect(bytes(convertPretrained(readWeightFile(join(folder, file)), file)), file).toEqual(expected);
    }
  });

  it('stack keys above values', () => {
    const block = 'segformer.encoder.block.2.1.attention.self';
    const kv = convertPretrained(V4, 'file').get('block3.1.attn.kv.weight')!;
    const halves = ['key', 'value'].map((part) => Buffer.from(V4.get(`${block}.${part}.weight`)!.data));
    expect(Buffer.from(kv.data)).toEqual(Buffer.concat(halves));
  });
});

describe('refused', () => {
  const without = (...names: string[]) => new Map([...V5].filter(([name]) => !names.includes(name)));
  const value = 'segformer.stages.0.blocks.0.attention.v_proj.weight';

  it('a key without its value, or with one of another shape', () => {
    expect(() => convertPretrained(without(value), 'f.bin')).toThrow(
      'f.bin: expected a value tensor of the same shape and dtype beside ' +
        'segformer.stages.0.blocks.0.attention.k_proj.weight but found none',
    );
    const other = new Map(V5).set(value, { dtype: 'float32', shape: [2], data: new Uint8Array(8) });
    expect(() => convertPretrained(other, 'f.bin')).toThrow('but found float32 of shape [2]');
  });

  it('both namings at once', () => {
    expect(() => convertPretrained(new Map([...V4, ...V5]), 'f.bin')).toThrow(
      'f.bin: expected one tensor for patch_embed1.proj.weight but segformer.stages.0.patch_embeddings.proj.weight is a second one',
    );
  });

  it('another model altogether', () => {
    const resnet = new Map([['conv1.weight', V4.values().next().value!]]);
    expect(() => convertPretrained(resnet, 'r.pth')).toThrow("received names such as 'conv1.weight'");
  });
});
