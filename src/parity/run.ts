import type { Device } from '../tensor/index.js';
import { isHub, readFixture } from './fixture.js';
import { runHubStage } from './hub-stage.js';
import { ModelStages } from './model-stages.js';
import { Comparison, type ParityReport } from './report.js';

/** A GPU adds up in another order than the reference did: ten times the CPU's tolerances. */
const ON_OTHER_DEVICES = 10;

/**
 * Compares this implementation with one reference fixture (FILE.safetensors with FILE.json beside it), whatever
 * its backbone, size and class count.
 * @param device where ours is computed; the reference's numbers are the CPU's
 */
export function runParity(file: string, device: Device = 'cpu'): ParityReport {
  const fixture = readFixture(file, device);
  const compare = new Comparison(device === 'cpu' ? 1 : ON_OTHER_DEVICES);
  if (isHub(fixture.facts)) runHubStage(fixture, compare);
  else new ModelStages(fixture, compare).run();
  for (const tensor of fixture.tensors.values()) tensor.dispose();
  return compare.report(file);
}
