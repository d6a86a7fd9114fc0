import { UsageError } from '../config/errors.js';
import { backboneNames, getBackbone } from '../models/backbones.js';
import type { WeTrOptions } from '../models/wetr.js';

/** What names and shapes tell of a model. Stride and pooling leave no trace in them. */
export type InferredOptions = Required<Pick<WeTrOptions, 'backbone' | 'numClasses' | 'embeddingDim'>>;

type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

const STAGES = [1, 2, 3, 4] as const;
const SHOWN = 3;

/**
 * Reads backbone, class count and decoder width off a WeTr's state dict.
 * @param source the file's name, for messages
 * @throws UsageError when the weights are not a WeTr's, or its sizes are no known backbone's
 */
export function inferModelOptions(state: Shapes, source: string): InferredOptions {
  const firstSize = (name: string): number => {
    const size = state.get(name)?.shape[0];
    if (size === undefined) throw notWeTr(state, source, name);
    return size;
  };
  const numClasses = firstSize('decoder.linear_pred.weight');
  const embeddingDim = firstSize('decoder.linear_fuse.bn.weight');
  firstSize('classifier.weight');
  const embedDims = STAGES.map((stage) => firstSize(`encoder.patch_embed${stage}.proj.weight`));
  const depths = STAGES.map((stage) => {
    let blocks = 0;
    while (state.has(`encoder.block${stage}.${blocks}.norm1.weight`)) blocks += 1;
    return blocks;
  });

  const sizes = (dims: readonly number[], blocks: readonly number[]) => `${dims} with ${blocks}`;
  const backbone = backboneNames().find((name) => {
    const known = getBackbone(name);
    return sizes(known.embedDims, known.depths) === sizes(embedDims, depths);
  });
  if (backbone === undefined) {
    throw new UsageError(
      `Expected the sizes of a backbone (${backboneNames().join(', ')}) for ${source} but received stages of ` +
        `${embedDims.join(', ')} channels with ${depths.join(', ')} blocks.`,
    );
  }
  return { backbone, numClasses, embeddingDim };
}

function notWeTr(state: Shapes, source: string, missing: string): UsageError {
  const names = [...state.keys()].slice(0, SHOWN).map((name) => `'${name}'`);
  return new UsageError(
    `Expected the weights of a WeTr model (with '${missing}') for ${source} but received ` +
      `${names.length > 0 ? `names such as ${names.join(', ')}` : 'no weights'}. ` +
      'Name a checkpoint of a training: best.pth, wetr_iter_N.pth or last.pth.',
  );
}
