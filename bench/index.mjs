// npm run bench: runs benchmarks, each in a process of its own so that memory and page faults are its own, and compares
// with an earlier result.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatTable } from '../dist/export/table.js';
import { compareFigures, machineDifferences } from './lib/compare.mjs';
import { refuse } from './lib/options.mjs';

/** In the order they run; `takes` are the options below that each understands. */
const SUBJECTS = {
  pipeline: { takes: ['threads', 'runs'], usual: true },
  model: { takes: ['threads', 'runs'], usual: true },
  loader: { takes: ['runs'], usual: true },
  export: { takes: ['threads'], usual: true },
  overhead: { takes: [], usual: true },
  profile: { takes: ['threads'] },
  crf: { takes: ['threads', 'runs'] },
  metrics: { takes: [] },
  distributed: { takes: ['runs'] },
  cuda: { takes: ['runs'], needsGpu: true },
};
const NAMES = Object.keys(SUBJECTS);
const ALL = NAMES.filter((name) => !SUBJECTS[name].needsGpu);
const USUAL = NAMES.filter((name) => SUBJECTS[name].usual);

const HELP = `Usage: npm run bench -- [SUBJECT | all] [--json] [--compare OLD.json] [--threads N] [--runs N]
       npm run bench -- SUBJECT --help

Without a subject: ${USUAL.join(', ')}. All: ${ALL.join(', ')}.
On a GPU: cuda, or --cuda.
--compare prints old, new and ratio of every figure that an earlier --json of the same subjects has.

Examples:
  npm run -s bench -- --json > before.json
  npm run -s bench -- --compare before.json
  npm run -s bench -- pipeline --runs 3`;

/** A subject and its own options go on to its file; what concerns several is read here. */
function readCommandLine() {
  const args = process.argv.slice(2).map((arg, i) => (i === 0 && arg === '--cuda' ? 'cuda' : arg));
  const subject = args[0]?.startsWith('-') ? undefined : args.shift();
  if (subject !== undefined && subject !== 'all' && !NAMES.includes(subject))
    refuse(`Expected a subject (${NAMES.join(', ')} or all) but received '${subject}'`, HELP);
  const one = NAMES.includes(subject) ? subject : undefined;
  try {
    const { values, tokens } = parseArgs({
      args,
      strict: one === undefined,
      allowPositionals: one !== undefined,
      tokens: true,
      options: {
        help: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        compare: { type: 'string' },
        ...(!one && { threads: { type: 'string' }, runs: { type: 'string' } }),
      },
    });
    const compare = tokens.find(({ name }) => name === 'compare');
    if (compare && typeof values.compare !== 'string') throw new Error('Expected a file for --compare');
    const mine = compare ? args.toSpliced(compare.index, compare.inlineValue ? 1 : 2) : args;
    return { ...values, one, args: mine, subjects: one ? [one] : subject === 'all' ? ALL : USUAL };
  } catch (error) {
    return refuse(error.message, HELP);
  }
}

function readOld(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    return refuse(`Expected the JSON of an earlier run at ${path} but ${error.message}`, HELP);
  }
}

/** Runs a subject; gives its result where `capture` asks for it, and otherwise lets it print. */
function run(name, args, capture) {
  const file = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
  const stdio = ['ignore', capture ? 'pipe' : 'inherit', 'inherit'];
  const child = spawn(process.execPath, [file, name, ...args], { stdio });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (data) => {
    text += data;
  });
  return new Promise((resolve) => {
    // Ctrl-C reaches the subject as well; its end is this one's.
    child.on('close', (code, signal) => {
      if (code !== 0) process.exit(code ?? (signal === 'SIGINT' ? 130 : 1));
      resolve(capture ? JSON.parse(text) : undefined);
    });
  });
}

const { help, json, compare, one, args, subjects, ...shared } = readCommandLine();
if (help && !one) {
  process.stdout.write(`${HELP}\n`);
  process.exit(0);
}
const old = compare === undefined ? undefined : readOld(compare);
const capture = (json || old !== undefined) && !help;
const results = {};
for (const name of subjects) {
  const own = one
    ? args.filter((arg) => arg !== '--json')
    : SUBJECTS[name].takes.flatMap((option) =>
        shared[option] === undefined ? [] : [`--${option}`, shared[option]],
      );
  if (subjects.length > 1) process.stderr.write(`${name}:\n`);
  results[name] = await run(name, capture ? [...own, '--json'] : own, capture);
  if (!capture && subjects.length > 1) process.stdout.write('\n');
}
if (!capture) process.exit();

// The pipeline's keys stand at the top, as they always have; the others' under their names.
const { pipeline, ...others } = results;
const result = one ? results[one] : { ...pipeline, subjects: others };
const comparison = old && {
  differences: machineDifferences(old, result),
  figures: compareFigures(old, result),
};
if (json)
  process.stdout.write(`${JSON.stringify(comparison ? { ...result, comparison } : result, null, 2)}\n`);
else {
  const { differences, figures } = comparison;
  if (figures.length === 0)
    refuse(`Expected figures of ${subjects.join(', ')} in ${compare} but found none`, HELP);
  const rows = figures.map(({ figure, old, new: now, ratio, verdict }) => [
    figure,
    old.toPrecision(4),
    now.toPrecision(4),
    ratio === null ? '-' : `${ratio.toFixed(2)} x`,
    verdict,
  ]);
  const header = ['', 'old', 'new', 'new / old', ''];
  process.stdout.write(
    `${formatTable(rows, { header, align: ['left', 'right', 'right', 'right', 'left'] })}\n`,
  );
  if (differences.length > 0)
    process.stdout.write(`\nNot the same on both sides:\n  ${differences.join('\n  ')}\n`);
}
