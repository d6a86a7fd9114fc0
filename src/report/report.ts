/** report.html of a work directory: from what training left there, without a model. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import { getDataset } from '../datasets/registry.js';
import { leakage } from '../datasets/split-report.js';
import { writeFileAtomic } from '../io/atomic.js';
import { caseRows, patientRows } from '../metrics/index.js';
import { evaluateValidation, readCases } from '../training/cases.js';
import type { Summary } from '../training/summary.js';
import { buildGallery } from './build-gallery.js';
import { reportPage } from './page.js';
import type { MetricsLine } from './sections/curves.js';
import type { RunFacts } from './sections/facts.js';

export interface ReportOptions {
  /** Default: report.html in the work directory. */
  output?: string;
  /** Where the heatmaps lie. Default: those of the work directory. */
  mapsDir?: string;
}

/**
 * Writes the report of a run.
 * @returns its path
 * @throws UsageError when the work directory does not hold a finished run
 */
export async function writeReport(config: Config, options: ReportOptions = {}): Promise<string> {
  const paths = workDirPaths(config);
  const summary = readSummary(paths.summary);
  const { cases, split, iteration } = readCases(paths.cases);
  if (iteration !== summary.bestIteration)
    throw new UsageError(
      `Expected the cases of iteration ${summary.bestIteration}, which ${paths.summary} tells of, but ${paths.cases} holds ` +
        `those of iteration ${iteration}: the run has gone on since. Let it end, or go on with --resume.`,
    );
  const evaluation = evaluateValidation(cases, config.train.seed);
  const rows = caseRows(cases, evaluation);
  const dataset = getDataset(config.dataset.name).open(config.dataset, split, () => {});
  const mapsDir = options.mapsDir ?? paths.attentionMaps;
  const page = reportPage({
    facts: factsOf(summary, split, iteration),
    configYaml: existsSync(paths.config) ? readFileSync(paths.config, 'utf8') : '',
    history: readHistory(paths.metrics),
    evaluation,
    patients: patientRows(cases, evaluation),
    gallery: await buildGallery(dataset, rows, mapsDir, config.train.seed),
  });
  const output = options.output ?? join(paths.root, 'report.html');
  writeFileAtomic(output, page);
  return output;
}

function readSummary(path: string): Summary {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Summary;
  } catch (cause) {
    throw new UsageError(
      `Expected the summary of a finished run in ${path} but cannot read it (${(cause as Error).message}). ` +
        'Train first, or name the work directory of a run with --work_dir.',
      { cause },
    );
  }
}

/** Lines of metrics.jsonl; one that a crash cut short is left out. */
function readHistory(path: string): MetricsLine[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as MetricsLine];
      } catch {
        return [];
      }
    });
}

function factsOf(summary: Summary, split: string, iteration: number): RunFacts {
  const { splits, bestMetric, skippedSteps, emptySteps, versions } = summary;
  const { train, val } = splits;
  const people = (patients: number | null) => (patients === null ? '' : ` of ${patients} patients`);
  const leak = leakage(splits);
  return {
    dataset: summary.dataset,
    backbone: summary.backbone,
    checkpoint: `best.pth (iteration ${iteration} of ${summary.iterations})`,
    split,
    rows: [
      [
        'Trained on',
        `${train.samples} images (${train.positives} positive)${people(train.patients)}, list ${train.sha256.slice(0, 12)}`,
      ],
      [
        'Validated on',
        `${val.samples} images (${val.positives} positive)${people(val.patients)}, list ${val.sha256.slice(0, 12)}`,
      ],
      ['Best checkpoint by', `${bestMetric.name} ${bestMetric.value.toFixed(4)}`],
      ['Iterations', summary.iterations],
      ['Steps skipped, not finite', skippedSteps],
      [
        'Steps without labelled foreground / background',
        `${emptySteps.foreground} / ${emptySteps.background}`,
      ],
      ['Training time', `${Math.round(summary.seconds)} s on ${summary.device}, ${summary.threads} threads`],
      ['Seed', summary.seed],
      [
        'Versions',
        Object.entries(versions)
          .map(([name, version]) => `${name} ${version}`)
          .join(', '),
      ],
    ],
    warnings: leak ? [leak] : [],
  };
}
