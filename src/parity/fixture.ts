import { readFileSync } from 'node:fs';
import { UsageError } from '../config/errors.js';
import { readSafetensors } from '../io/safetensors.js';
import { type Device, keep, Tensor } from '../tensor/index.js';

/** The JSON beside a model fixture; see the reference notes for each number. */
export interface FixtureFacts {
  backbone: string;
  num_classes: number;
  batch: number;
  height: number;
  width: number;
  pooling: 'gmp' | 'gap';
  losses?: { cls: number; seg: number; aff: number; total: number; pos_count: number; neg_count: number };
  grad_l2?: Record<string, number>;
  optimizer?: {
    warmup_iter: number;
    max_iter: number;
    warmup_ratio: number;
    power: number;
    lr: number;
    trajectory: { step: number; loss: number; lr: number[] }[];
    param_l2: Record<string, number>;
    param_delta_l2: Record<string, number>;
  };
}

/** The JSON beside a fixture of converted hub weights. */
export interface HubFacts {
  config: { depths: number[]; hidden_sizes: number[]; strides: number[] };
  keys: Record<string, number[]>;
}

export interface Fixture {
  file: string;
  /** Where the tensors are. */
  device: Device;
  facts: FixtureFacts | HubFacts;
  tensors: Map<string, Tensor>;
}

export const isHub = (facts: FixtureFacts | HubFacts): facts is HubFacts => 'keys' in facts;

/** @throws UsageError when the file, or the JSON beside it, is missing or of another form. */
export function readFixture(file: string, device: Device = 'cpu'): Fixture {
  const json = file.replace(/\.safetensors$/, '.json');
  let facts: FixtureFacts | HubFacts;
  try {
    facts = JSON.parse(readFileSync(json, 'utf8'));
  } catch (cause) {
    throw new UsageError(
      `Expected the fixture's facts in ${json} but could not read them: ${(cause as Error).message}`,
    );
  }
  if (!('keys' in facts) && !('backbone' in facts && 'num_classes' in facts))
    throw new UsageError(`Expected "backbone" and "num_classes", or "keys", in ${json} but found neither`);
  const tensors = new Map<string, Tensor>();
  for (const [name, raw] of readSafetensors(file)) {
    const host = Tensor.fromRaw(raw);
    tensors.set(name, keep(device === 'cpu' ? host : host.to({ device })));
  }
  return { file, device, facts, tensors };
}
