import { convertPretrained } from '../models/pretrained.js';
import { WeTr } from '../models/wetr.js';
import { noGrad, scope } from '../tensor/index.js';
import { deterministicWeight } from './deterministic-weights.js';
import type { Fixture, HubFacts } from './fixture.js';
import type { Comparison } from './report.js';

const BACKBONE_BY_SIZES = new Map([
  ['2,2,2,2/32', 'mit_b0'],
  ['2,2,2,2/64', 'mit_b1'],
  ['3,4,6,3/64', 'mit_b2'],
]);

/** The encoder under the hub's names: converted, it must give the hub model's four hidden states. */
export function runHubStage(fixture: Fixture, compare: Comparison): void {
  const { config, keys } = fixture.facts as HubFacts;
  const sizes = `${config.depths.join()}/${config.hidden_sizes[0]}`;
  const backbone = BACKBONE_BY_SIZES.get(sizes);
  if (!backbone) throw new Error(`Expected the sizes of a known backbone but received ${sizes}`);
  const hub = new Map(Object.entries(keys).map(([name, shape]) => [name, deterministicWeight(name, shape)]));
  const encoder = convertPretrained(hub, fixture.file);
  scope(() => {
    const model = new WeTr({ backbone, numClasses: 2, stride: config.strides });
    const state = model.stateDict();
    for (const [name, tensor] of encoder) state.set(`encoder.${name}`, tensor);
    model.loadStateDict(state, 'converted hub weights');
    model.to(fixture.device);
    const stages = noGrad(() => model.eval().forwardFeatures(fixture.tensors.get('input')!));
    for (const [i, stage] of stages.entries()) {
      const name = `hidden.${i}`;
      compare.floats(name, stage, fixture.tensors.get(name)!);
    }
    model.dispose();
  });
}
