import type { RawTensor } from '../tensor/index.js';

/**
 * Parts of the hub's names to ours, applied in order. Both namings of Hugging Face's Segformer: of transformers up to
 * 4 (`encoder.block.0.1.attention.self.query`) and from 5 on (`stages.0.blocks.1.attention.q_proj`).
 */
const RENAMED: [RegExp, string | ((...groups: string[]) => string)][] = [
  [/^stages\.(\d)\.(patch_embeddings|layer_norm)\./, '$2.$1.'],
  [/^stages\.(\d)\.blocks\./, 'block.$1.'],
  [/^patch_embeddings\.(\d)\.layer_norm\./, (_, i) => `patch_embed${Number(i) + 1}.norm.`],
  [/^patch_embeddings\.(\d)\./, (_, i) => `patch_embed${Number(i) + 1}.`],
  [/^block\.(\d)\./, (_, i) => `block${Number(i) + 1}.`],
  [/^layer_norm\.(\d)\./, (_, i) => `norm${Number(i) + 1}.`],
  [/\.(layer_norm_1|layernorm_before)\./, '.norm1.'],
  [/\.(layer_norm_2|layernorm_after)\./, '.norm2.'],
  [/\.attention\.(self\.query|q_proj)\./, '.attn.q.'],
  [/\.attention\.(self\.sr|sequence_reduction\.sequence_reduction)\./, '.attn.sr.'],
  [/\.attention\.(self|sequence_reduction)\.layer_norm\./, '.attn.norm.'],
  [/\.attention\.(output\.dense|o_proj)\./, '.attn.proj.'],
  [/\.mlp\.dense([12])\./, '.mlp.fc$1.'],
];

/** What the hub's models put before their encoder's names. */
const HUB_ENCODER = /^(segformer\.)?(encoder\.)?/;
const KEY = /\.attention\.(?:self\.key|k_proj)\.(weight|bias)$/;
const VALUE = /\.attention\.(?:self\.value|v_proj)\.(weight|bias)$/;
/** Classification heads of the pretraining task, which AFA has no use for. */
const HEAD = /^(head|classifier|decode_head)\./;

function rename(name: string): string {
  return RENAMED.reduce((n, [pattern, to]) => n.replace(pattern, to as string), name);
}

/** Keys above values in one tensor: [2C, C] or [2C]. */
function stackRows(key: RawTensor, value: RawTensor): RawTensor {
  const data = new Uint8Array(key.data.byteLength + value.data.byteLength);
  data.set(key.data);
  data.set(value.data, key.data.byteLength);
  const [rows, ...rest] = key.shape as [number, ...number[]];
  return { dtype: key.dtype, shape: [rows * 2, ...rest], data };
}

/**
 * ImageNet weights of a Mix-Transformer under our encoder's names (without the "encoder." prefix): taken from the
 * hub's `nvidia/mit-b*`, in either of its namings, or from the official SegFormer files, whose names are ours.
 * A name that neither has stays as it is: the model lists it when it is loaded.
 * @throws Error when the names are neither's, a key has no value, or two names mean the same
 */
export function convertPretrained(
  weights: ReadonlyMap<string, RawTensor>,
  source: string,
): Map<string, RawTensor> {
  const out = new Map<string, RawTensor>();
  const put = (from: string, name: string, tensor: RawTensor) => {
    if (out.has(name))
      throw new Error(`${source}: expected one tensor for ${name} but ${from} is a second one`);
    out.set(name, tensor);
  };
  for (const [name, tensor] of weights) {
    if (HEAD.test(name) || VALUE.test(name)) continue;
    const local = name.replace(HUB_ENCODER, '');
    if (KEY.test(name)) {
      const value = weights.get(name.replace('.self.key.', '.self.value.').replace('.k_proj.', '.v_proj.'));
      if (value?.dtype !== tensor.dtype || value.shape.join() !== tensor.shape.join())
        throw new Error(
          `${source}: expected a value tensor of the same shape and dtype beside ${name} but found ` +
            `${value ? `${value.dtype} of shape [${value.shape.join(', ')}]` : 'none'}`,
        );
      put(name, rename(local.replace(KEY, '.attn.kv.$1')), stackRows(tensor, value));
    } else put(name, rename(local), tensor);
  }
  if (!out.has('patch_embed1.proj.weight'))
    throw new Error(
      `${source}: expected weights named like the hub's nvidia/mit-b* or the official mit_b*.pth but received ` +
        `names such as '${[...weights.keys()][0] ?? '(none)'}'`,
    );
  return out;
}
