import type { RawTensor } from '../tensor/index.js';

/** Hub part of a name to ours, tried in order; names follow Hugging Face's Segformer and NVIDIA's MiT. */
const RENAMED: [RegExp, string | ((...groups: string[]) => string)][] = [
  [/^patch_embeddings\.(\d)\.layer_norm/, (_, i) => `patch_embed${Number(i) + 1}.norm`],
  [/^patch_embeddings\.(\d)/, (_, i) => `patch_embed${Number(i) + 1}`],
  [/^block\.(\d)/, (_, i) => `block${Number(i) + 1}`],
  [/^layer_norm\.(\d)/, (_, i) => `norm${Number(i) + 1}`],
  [/\.layer_norm_([12])\./, '.norm$1.'],
  [/\.attention\.self\.query\./, '.attn.q.'],
  [/\.attention\.self\.sr\./, '.attn.sr.'],
  [/\.attention\.self\.layer_norm\./, '.attn.norm.'],
  [/\.attention\.output\.dense\./, '.attn.proj.'],
  [/\.mlp\.dense([12])\./, '.mlp.fc$1.'],
];

const HUB_ENCODER = /^(segformer\.)?encoder\./;
const KEY = /\.attention\.self\.key\.(weight|bias)$/;
const VALUE = /\.attention\.self\.value\.(weight|bias)$/;
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
 * hub's `nvidia/mit-b*` naming, or from the official SegFormer files, whose names are ours.
 * @throws Error when the names are neither's
 */
export function convertPretrained(
  weights: ReadonlyMap<string, RawTensor>,
  source: string,
): Map<string, RawTensor> {
  const out = new Map<string, RawTensor>();
  for (const [name, tensor] of weights) {
    if (HEAD.test(name) || VALUE.test(name)) continue;
    const local = name.replace(HUB_ENCODER, '');
    if (KEY.test(name)) {
      const value = weights.get(name.replace('.self.key.', '.self.value.'));
      if (!value) throw new Error(`${source}: expected a value tensor beside ${name} but found none`);
      out.set(rename(local.replace(KEY, '.attn.kv.$1')), stackRows(tensor, value));
    } else out.set(rename(local), tensor);
  }
  if (!out.has('patch_embed1.proj.weight'))
    throw new Error(
      `${source}: expected weights named like the hub's nvidia/mit-b* or the official mit_b*.pth but received ` +
        `names such as '${[...weights.keys()][0] ?? '(none)'}'`,
    );
  return out;
}
