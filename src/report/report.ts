/** report.html of a run: from what training, or `scoreSplit`, left in its work directory. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/errors.js';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import { getDataset } from '../datasets/registry.js';
import { describeSplits, leakage } from '../datasets/split-report.js';
import { writeFileAtomic } from '../io/atomic.js';
import { caseRows, type EvaluatedCase, patientRows } from '../metrics/index.js';
import { readCases, scoreCases } from '../training/cases.js';
import type { Summary } from '../training/summary.js';
import { buildGallery } from './build-gallery.js';
import { reportPage } from './page.js';
import { frozenThresholds, splitPaths } from './score-split.js';
import type { MetricsLine } from './sections/curves.js';
import type { RunFacts } from './sections/facts.js';

export interface ReportOptions {
  /** A split that `scoreSplit` has scored. Default: the validation's, as training scored it. */
  split?: string;
  /** Default: report.html in the work directory, or in the split's folder there. */
  output?: string;
  /** Where the heatmaps lie. Default: those of the run, or of the split. */
  mapsDir?: string;
}

/**
 * Writes the report of a run.
 * @returns its path
 * @throws UsageError when the work directory does not hold a finished run
 */
export async function writeReport(config: Config, options: ReportOptions = {}): Promise<string> {
  const { seed } = config.train;
  const paths = workDirPaths(config);
  const summary = readSummary(paths.summary);
  const chosen = readCases(paths.cases);
  requireSameRun(chosen.iteration, summary, paths);
  const { classes } = chosen;
  const validation = scoreCases(chosen.cases, config, { classes });
  const isOther = options.split !== undefined && options.split !== chosen.split;
  const own = isOther ? splitPaths(config, options.split!) : undefined;
  const { cases, split } = own ? readCases(own.cases) : chosen;
  const evaluation = own
    ? scoreCases(cases, config, { classes, mapThresholds: frozenThresholds(validation) })
    : validation;

  const open = (name: string) => getDataset(config.dataset.name).open(config.dataset, name, () => {});
  const dataset = open(split);
  const leaks = own ? describeSplits(open(config.train.split), dataset) : summary.splits;
  const warnings = [leakage(leaks) ?? [], own ? overlap(cases, chosen.cases) : []].flat();
  const page = reportPage({
    facts: factsOf(summary, split, warnings),
    configYaml: existsSync(paths.config) ? readFileSync(paths.config, 'utf8') : '',
    history: readHistory(paths.metrics),
    evaluation,
    patients: patientRows(cases, evaluation),
    gallery: await buildGallery(
      dataset,
      caseRows(cases, evaluation),
      options.mapsDir ?? own?.maps ?? paths.attentionMaps,
      seed,
    ),
  });
  const output = options.output ?? own?.report ?? join(paths.root, 'report.html');
  writeFileAtomic(output, page);
  return output;
}

function requireSameRun(
  iteration: number,
  summary: Summary,
  paths: { summary: string; cases: string },
): void {
  if (iteration === summary.bestIteration) return;
  throw new UsageError(
    `Expected the cases of iteration ${summary.bestIteration}, which ${paths.summary} tells of, but ${paths.cases} holds ` +
      `those of iteration ${iteration}: the run has gone on since. Let it end, or go on with --resume.`,
  );
}

/** Images that have chosen checkpoint and threshold are no test: an index split's `test` contains its `val`. */
function overlap(cases: readonly EvaluatedCase[], chosen: readonly EvaluatedCase[]): string[] {
  const names = new Set(chosen.map(({ name }) => name));
  const shared = cases.filter(({ name }) => names.has(name)).length;
  return shared === 0
    ? []
    : [
        `${shared} of these ${cases.length} images were also used to choose checkpoint and thresholds: ` +
          'scores on them are too good. Set dataset.split: {by: patient} with a test share, or another split.',
      ];
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

function factsOf(summary: Summary, split: string, warnings: readonly string[]): RunFacts {
  const { splits, bestMetric, skippedSteps, emptySteps, versions } = summary;
  const { train, val } = splits;
  const people = (patients: number | null) => (patients === null ? '' : ` of ${patients} patients`);
  return {
    dataset: summary.dataset,
    backbone: summary.backbone,
    checkpoint: `best.pth (iteration ${summary.bestIteration} of ${summary.iterations})`,
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
    warnings,
  };
}
