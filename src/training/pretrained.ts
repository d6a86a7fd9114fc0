/** ImageNet weights at the start of a training. */
import { UsageError } from '../config/errors.js';
import { downloadCommand, findPretrained, pretrainedCandidates } from '../config/pretrained-files.js';
import type { Config } from '../config/schema.js';
import { readWeightFile } from '../io/weight-file.js';
import { convertPretrained } from '../models/pretrained.js';
import type { WeTr } from '../models/wetr.js';
import type { RawTensor } from '../tensor/index.js';

const ENCODER = 'encoder.';

/**
 * Loads ImageNet weights into the encoder as `backbone.pretrained` says. All of the encoder comes from the file.
 * @returns what to tell the user; `loaded: false` under `auto` is worth a warning
 * @throws UsageError when they are required and missing, or are no such weights; StateDictMismatch when they are
 * another backbone's or incomplete
 */
export function loadPretrained(model: WeTr, config: Config): { loaded: boolean; message: string } {
  const { pretrained } = config.backbone;
  if (pretrained === 'none') return { loaded: false, message: 'Encoder starts from random weights' };
  const path = requirePretrained(config);
  if (path === undefined) {
    return {
      loaded: false,
      message:
        `there are no ${missing(config)} The encoder starts from random weights, from which it needs far more data ` +
        'and time. backbone.pretrained: required refuses to train like this, none says nothing.',
    };
  }
  const state = new Map([...model.stateDict()].filter(([name]) => !name.startsWith(ENCODER)));
  for (const [name, tensor] of readPretrained(path)) state.set(ENCODER + name, tensor);
  model.loadStateDict(state, path);
  return { loaded: true, message: `Encoder starts from ImageNet weights: ${path}` };
}

/**
 * The weight file that a configuration asks for: nothing is read.
 * @throws UsageError when it is required and missing
 */
export function requirePretrained(config: Config): string | undefined {
  const { pretrained, pretrained_path: path } = config.backbone;
  const found = pretrained === 'none' ? undefined : findPretrained(path);
  if (found === undefined && pretrained === 'required')
    throw new UsageError(`backbone.pretrained is 'required' but there are no ${missing(config)}`);
  return found;
}

function missing({ backbone: { config: name, pretrained_path: path } }: Config): string {
  return (
    `ImageNet weights for ${name}: looked for ${pretrainedCandidates(path).join(', ')}. Get them with\n` +
    `  ${downloadCommand(name, path)}\nor see pretrained/README.md.`
  );
}

function readPretrained(path: string): Map<string, RawTensor> {
  const weights = readWeightFile(path);
  try {
    return convertPretrained(weights, path);
  } catch (error) {
    throw new UsageError(`${(error as Error).message}. See pretrained/README.md.`, { cause: error });
  }
}
