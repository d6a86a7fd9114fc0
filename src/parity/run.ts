import { isHub, readFixture } from './fixture.js';
import { runHubStage } from './hub-stage.js';
import { ModelStages } from './model-stages.js';
import { Comparison, type ParityReport } from './report.js';

/**
 * Compares this implementation with one reference fixture (FILE.safetensors with FILE.json beside it), whatever
 * its backbone, size and class count.
 */
export function runParity(file: string): ParityReport {
  const fixture = readFixture(file);
  const compare = new Comparison();
  if (isHub(fixture.facts)) runHubStage(fixture, compare);
  else new ModelStages(fixture, compare).run();
  for (const tensor of fixture.tensors.values()) tensor.dispose();
  return compare.report(file);
}
