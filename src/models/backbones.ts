/** Sizes of the Mix-Transformer family (SegFormer paper, table 6). */
export interface Backbone {
  /** Channels of the four stages. */
  embedDims: readonly [number, number, number, number];
  /** Blocks of the four stages. */
  depths: readonly [number, number, number, number];
}

const WIDE = [64, 128, 320, 512] as const;

const backbones = new Map<string, Backbone>([
  ['mit_b0', { embedDims: [32, 64, 160, 256], depths: [2, 2, 2, 2] }],
  ['mit_b1', { embedDims: WIDE, depths: [2, 2, 2, 2] }],
  ['mit_b2', { embedDims: WIDE, depths: [3, 4, 6, 3] }],
  ['mit_b3', { embedDims: WIDE, depths: [3, 4, 18, 3] }],
  ['mit_b4', { embedDims: WIDE, depths: [3, 8, 27, 3] }],
  ['mit_b5', { embedDims: WIDE, depths: [3, 6, 40, 3] }],
]);

export const backboneNames = (): string[] => [...backbones.keys()];

/** @throws RangeError listing the names there are. */
export function getBackbone(name: string): Backbone {
  const backbone = backbones.get(name);
  if (!backbone)
    throw new RangeError(`Expected a backbone (${backboneNames().join(', ')}) but received '${name}'`);
  return backbone;
}
