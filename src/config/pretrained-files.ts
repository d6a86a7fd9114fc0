/** Where ImageNet weights lie, and under which names: for configuration, training, download and doctor. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of weights, in the working directory. */
export const PRETRAINED_DIR = 'pretrained';

/** Endings of weight files, in the order in which they are looked for: PyTorch's, and the hub's two. */
export const WEIGHT_ENDINGS = ['.pth', '.safetensors', '.bin'] as const;

export const defaultPretrainedPath = (backbone: string): string => `${PRETRAINED_DIR}/${backbone}.pth`;

/** A path, then the same name with each other ending of a weight file. */
export function pretrainedCandidates(path: string): string[] {
  const ending = WEIGHT_ENDINGS.find((end) => path.endsWith(end));
  if (ending === undefined) return [path];
  const stem = path.slice(0, -ending.length);
  return [path, ...WEIGHT_ENDINGS.filter((end) => end !== ending).map((end) => stem + end)];
}

/** The weight file that a `backbone.pretrained_path` stands for, if there is one. */
export const findPretrained = (path: string): string | undefined =>
  pretrainedCandidates(path).find((file) => existsSync(file));

/** The command that puts weights of a backbone where `path` finds them. */
export function downloadCommand(backbone: string, path: string): string {
  const folder = dirname(path);
  const where = join(folder) === PRETRAINED_DIR ? '' : ` --dir ${folder}`;
  return `npm run download-pretrained -- ${backbone}${where}`;
}
