import { createHash } from 'node:crypto';
import type { WeTr } from '../models/wetr.js';
import type { ProcessGroup } from './process-group.js';

/** One process's model is not that of the others; all of them throw it. */
export class ModelMismatch extends Error {
  override readonly name = 'ModelMismatch';
}

/** One line for each parameter and buffer: what must agree before values can be exchanged. */
function describe(model: WeTr): string[] {
  const parameters = model.parameters();
  return [...model.state()].map(([name, tensor]) => {
    const kind = !parameters.has(name) ? 'buffer' : tensor.requiresGrad ? 'trainable' : 'frozen';
    return `${name} ${tensor.dtype} [${tensor.shape.join(', ')}] ${kind}`;
  });
}

/** The first difference between two models, in words. */
function difference(mine: string[], rank0: string[], rank: number): string {
  const counts =
    mine.length === rank0.length ? '' : ` Rank ${rank} has ${mine.length} entries, rank 0 ${rank0.length}.`;
  const at = rank0.findIndex((line, i) => line !== mine[i]);
  const where = at === -1 ? rank0.length : at;
  const on = (lines: string[]) => lines[where] ?? 'nothing';
  return `entry ${where + 1} is ${on(mine)} on rank ${rank} but ${on(rank0)} on rank 0.${counts}`;
}

/**
 * Checks that every rank's parameters and buffers have the same names, shapes, dtypes and order.
 * Full lists travel only when their checksums differ.
 * @throws ModelMismatch with the same message on every rank
 */
export async function checkSameModel(model: WeTr, group: ProcessGroup): Promise<void> {
  const mine = describe(model);
  const checksums = await group.allGatherObject(createHash('sha256').update(mine.join('\n')).digest('hex'));
  if (checksums.every((checksum) => checksum === checksums[0])) return;
  const all = await group.allGatherObject(mine);
  const rank = checksums.findIndex((checksum) => checksum !== checksums[0]);
  throw new ModelMismatch(
    `Expected the same model on all ${group.size} ranks, but ${difference(all[rank]!, all[0]!, rank)} ` +
      'Start every rank with the same configuration and version.',
  );
}
