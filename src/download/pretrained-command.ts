/** npm run download-pretrained: arguments, progress and what is said. */
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { createCommand, parseArguments } from '../cli/command.js';
import { expected, UsageError } from '../config/errors.js';
import { findPretrained, PRETRAINED_DIR } from '../config/pretrained-files.js';
import { BACKBONES } from '../config/schema.js';
import { closest } from '../config/suggest.js';
import { createProgress, type ProgressReporter } from '../training/progress.js';
import { makeWritable } from '../training/work-dir.js';
import { hubOf } from './hub.js';
import { type Downloaded, downloadPretrained, hubModel, type PretrainedOptions } from './pretrained.js';
import { megabytes } from './transfer.js';

const START = 'npm run download-pretrained --';

const EXAMPLES = [
  ['weights of the backbone that the configurations use', `${START} mit_b1`],
  ['of several, into a folder of their own', `${START} mit_b0 mit_b2 --dir /data/weights`],
  ['through a mirror of the hub', `HF_ENDPOINT=https://hub.example.org ${START} --all`],
] as const;

function pretrainedCommand(): Command {
  return createCommand(
    START,
    'Fetch ImageNet weights (nvidia/mit-b0 ... mit-b5) from the Hugging Face hub, checked against the size and hash ' +
      'that it announces. A transfer that ends early is gone on with by the same command.',
    EXAMPLES,
  )
    .argument('[backbones...]', BACKBONES.join(', '))
    .option('--all', 'every backbone')
    .option('--dir <folder>', 'where the files go', PRETRAINED_DIR)
    .option('--revision <name>', "branch, tag or commit of the hub's model", 'main')
    .option('--overwrite', "replace a file that is not the hub's")
    .addHelpText(
      'after',
      '\nEnvironment: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HF_HOME, HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT\n' +
        'mean what they mean to huggingface_hub; HTTPS_PROXY and NO_PROXY are honoured.',
    );
}

interface ParsedOptions {
  all?: true;
  dir: string;
  revision: string;
  overwrite?: true;
}

/**
 * Runs the command with the arguments after the script's name; lines for people go to standard output.
 * @returns the exit code
 * @throws UsageError for arguments that cannot be right, and what `downloadPretrained` throws
 */
export async function runDownload(argv: readonly string[]): Promise<number> {
  const command = pretrainedCommand();
  const { all = false, dir, revision, overwrite = false } = parseArguments<ParsedOptions>(command, argv);
  const backbones = chosen(command.args, all);
  const hub = hubOf();
  if (!hub.offline) makeWritable(dir, '--dir');

  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  let bar: ProgressReporter | undefined;
  const options: PretrainedOptions = {
    hub,
    dir,
    revision,
    overwrite,
    signal: stop.signal,
    onRetry: (reason) => process.stderr.write(`${reason}; trying again\n`),
    onStart: (path, { size }, there) => {
      const more = there > 0 ? `, going on at ${megabytes(there)} MB` : '';
      process.stderr.write(`${path}: ${megabytes(size)} MB from ${hub.endpoint}${more}\n`);
      const whole = (bytes: number) => Math.floor(bytes / 1e6);
      const progress = createProgress({
        label: `${basename(path)}, MB`,
        total: whole(size),
        done: whole(there),
      });
      bar = progress;
      return (done) => progress.update(whole(done));
    },
  };
  try {
    for (const backbone of backbones) {
      const result = await downloadPretrained(backbone, options).finally(() => bar?.stop());
      process.stdout.write(`${describe(backbone, result, dir)}\n`);
    }
    return 0;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write('Stopped. What came is kept; the same command goes on from there.\n');
    return 130;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

function chosen(names: readonly string[], all: boolean): readonly string[] {
  if (all && names.length > 0)
    throw new UsageError(`Expected backbones or --all but received both ('${names.join("', '")}').`);
  if (all) return BACKBONES;
  if (names.length === 0)
    throw new UsageError(`Expected backbones (${BACKBONES.join(', ')}) or --all but received neither.`);
  for (const name of names) {
    if ((BACKBONES as readonly string[]).includes(name)) continue;
    const near = closest(name, BACKBONES);
    throw new UsageError(
      `${expected(`one of ${BACKBONES.join(', ')}`, 'a backbone', name)}.` +
        `${near === undefined ? '' : ` Did you mean '${near}'?`}`,
    );
  }
  return [...new Set(names)];
}

function describe(backbone: string, { path, present, announced }: Downloaded, dir: string): string {
  if (announced === undefined)
    return `${path} is there; HF_HUB_OFFLINE is set, so it was not compared with the hub's`;
  const { kind, hash, size, commit } = announced;
  const what = `${megabytes(size)} MB, ${kind} ${hash}, ${hubModel(backbone)}${commit ? ` at ${commit.slice(0, 12)}` : ''}`;
  // Training takes the first ending that is there: an older file of another form would silently win.
  const taken = findPretrained(join(dir, `${backbone}.pth`));
  const rival =
    taken === path ? '' : `\nNote: training takes ${taken} before it; move that away to use this one`;
  return `${path}: ${present ? 'there already, ' : ''}${what}${rival}`;
}
